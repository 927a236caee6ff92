import { Code } from "@connectrpc/connect";
import type { ExportSpool } from "../export/export-spool.ts";
import type { ExportFile } from "../export/export-file.ts";
import type { VehicleExports } from "../export/vehicle-exports.ts";
import type { Call } from "../rpc/call.ts";
import type { CallHost } from "./served-call.ts";
import type { AnswerHeaders, Exchange } from "./exchange.ts";
import { answerStream } from "./exchange.ts";
import { createCallHandler } from "./plain-call.ts";
import type { PlainHandler } from "./plain-call.ts";

export interface ExportHandlerOptions {
  readonly exports: VehicleExports;
  readonly spool: ExportSpool;
  readonly host: CallHost;
}

/**
 * Serves `GET /export.parquet`. The access rule, rate limit and audit line are those of the Export RPC.
 *
 * A plain GET writes a new file. HEAD, range and conditional requests are answered from a file that is kept for the
 * client for a short time, so that all requests of one reader get the same file. Reading a kept file does not count as
 * an export.
 */
export function createExportHandler(options: ExportHandlerOptions): PlainHandler {
  return createCallHandler({
    host: options.host,
    method: "Export",
    procedure: "GET /export.parquet",
    answer: (exchange, call, { name }) =>
      wantsKeptFile(exchange) ? sendKept(exchange, name, call, options) : sendNew(exchange, name, call, options),
  });
}

async function sendNew(
  exchange: Exchange,
  client: string,
  call: Call,
  { exports }: ExportHandlerOptions,
): Promise<void> {
  await using file = await exports.create(client, call.signal);
  await send(exchange, call, file);
}

async function sendKept(
  exchange: Exchange,
  client: string,
  call: Call,
  { spool }: ExportHandlerOptions,
): Promise<void> {
  using kept = await spool.open(client);
  await send(exchange, call, kept.file);
}

async function send(exchange: Exchange, call: Call, file: ExportFile): Promise<void> {
  const { status, headers, body, code } = answerRequest(exchange, file);
  if (body === undefined) {
    exchange.writeHead(status, headers);
    if (code !== undefined) {
      call.end(code);
    }
    exchange.response.end();
    exchange.discardRest();
  } else {
    await answerStream(exchange, status, headers, file.read(body.start, body.end));
  }
}

/** From `start`, inclusive, to `end`, exclusive. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const SINGLE_RANGE = /^bytes=(\d*)-(\d*)$/i;

/**
 * Reads a `Range` header (RFC 9110, 14.2).
 *
 * @returns the range, limited to the file's size; `unsatisfiable` when it starts after the end of the file; `whole`
 *   when the header must be ignored, because it has several ranges or another unit or is malformed.
 */
function parseRange(header: string, sizeBytes: number): ByteRange | "unsatisfiable" | "whole" {
  const [, first = "", last = ""] = SINGLE_RANGE.exec(header.trim()) ?? [];
  if (first === "") {
    return last === "" ? "whole" : parseSuffix(Number(last), sizeBytes);
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== "" && Number(last) < start) {
    return "whole";
  }
  return start < sizeBytes ? { start, end } : "unsatisfiable";
}

function parseSuffix(lengthBytes: number, sizeBytes: number): ByteRange | "unsatisfiable" {
  return lengthBytes > 0 ? { start: Math.max(0, sizeBytes - lengthBytes), end: sizeBytes } : "unsatisfiable";
}

/** The status and headers of an answer, and the range of bytes that follows. */
interface ExportAnswer {
  readonly status: 200 | 206 | 304 | 412 | 416;
  readonly headers: AnswerHeaders;
  readonly body: ByteRange | undefined;
  /** The code of a failed request. */
  readonly code?: Code;
}

/** Whether the reader may request more of the same file. */
function wantsKeptFile({ method, headers }: Exchange): boolean {
  const conditions = [headers["if-match"], headers["if-none-match"], headers["if-range"]];
  return method === "HEAD" || headers.range !== undefined || conditions.some((condition) => condition !== undefined);
}

/** Answers a GET or HEAD of a file, with the conditions and single ranges of RFC 9110. */
function answerRequest({ method, headers }: Exchange, file: ExportFile): ExportAnswer {
  const etag = `"${file.id}"`;
  const common = {
    etag,
    "last-modified": new Date(file.snapshotTime).toUTCString(),
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
  };
  if (headers["if-match"] !== undefined && !isNamed(headers["if-match"], ["*", etag])) {
    const nothing = { ...common, "content-length": 0 };
    return { status: 412, headers: nothing, body: undefined, code: Code.FailedPrecondition };
  }
  if (isNamed(headers["if-none-match"], ["*", etag, `W/${etag}`])) {
    return { status: 304, headers: common, body: undefined };
  }
  const whole = { start: 0, end: file.sizeBytes };
  const isRangeOfThis = headers["if-range"] === undefined || headers["if-range"] === etag;
  const range =
    method === "GET" && headers.range !== undefined && isRangeOfThis
      ? parseRange(headers.range, file.sizeBytes)
      : "whole";
  if (range === "unsatisfiable") {
    const unsatisfiable = { "content-range": `bytes */${file.sizeBytes}`, "content-length": 0 };
    return { status: 416, headers: { ...common, ...unsatisfiable }, body: undefined, code: Code.OutOfRange };
  }
  const { start, end } = range === "whole" ? whole : range;
  const content = {
    ...common,
    "content-type": file.mediaType,
    "content-disposition": `attachment; filename="${file.fileName}"`,
    "content-length": end - start,
    "x-content-type-options": "nosniff",
  };
  const body = method === "HEAD" ? undefined : { start, end };
  return range === "whole"
    ? { status: 200, headers: content, body }
    : { status: 206, headers: { ...content, "content-range": `bytes ${start}-${end - 1}/${file.sizeBytes}` }, body };
}

function isNamed(header: string | undefined, tags: readonly string[]): boolean {
  return header !== undefined && header.split(",").some((tag) => tags.includes(tag.trim()));
}
