import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { requireScope } from "../access/access-guard.ts";
import type { ExportSpool } from "../export/export-spool.ts";
import type { VehicleExports } from "../export/vehicle-exports.ts";
import { StallWatch } from "../export/stall-watch.ts";
import { auditCall } from "../rpc/audit.ts";
import { Call } from "../rpc/call.ts";
import { describeError } from "../rpc/error-table.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { AuditLogger } from "../telemetry/logger.ts";
import { onBehalfOf } from "../telemetry/request-context.ts";
import type { CallHost } from "./call-host.ts";
import type { AnswerHeaders, Exchange } from "./exchange.ts";
import { answerStream, answerText } from "./exchange.ts";
import type { PlainHandler } from "./router.ts";

export interface ExportHandlerOptions {
  readonly exports: VehicleExports;
  readonly spool: ExportSpool;
  /** The methods served; the rule of Export holds here, too. */
  readonly methods: readonly ServedMethod[];
  readonly host: CallHost;
  readonly logger: AuditLogger;
  /** How long a reader may take nothing, in ms. Default: 30 s. */
  readonly stallMs?: number | undefined;
}

/**
 * Serves `GET /export.parquet`, under the same rule of access, rate and audit as the Export RPC.
 *
 * A plain GET is an export of its own. HEAD, ranges and conditions are answered from a file that is kept for the client a
 * short while, so that many requests of one reader see the same file; reading it is not an export for the limits.
 */
export function createExportHandler(options: ExportHandlerOptions): PlainHandler {
  const { methods, host } = options;
  const method = methods.find(({ spec }) => spec.method === VehicleService.method.export);
  if (method === undefined) {
    throw new Error("the Export RPC is not served");
  }
  return {
    maxMs: method.rule.maxTimeoutMs,
    async answer(exchange) {
      const call = new Call({
        method,
        protocol: "http",
        requestId: exchange.requestId,
        address: exchange.peer.address,
        authorization: exchange.headers.authorization,
        timeoutMs: undefined,
        onEnd: host.onCallEnd,
      });
      host.onCallStart(call);
      exchange.onClose(() => endCall(exchange, call));
      try {
        await onBehalfOf(call.id, () => answerCall(exchange, call, options));
      } catch (error) {
        answerError(exchange, call, error, options);
      }
    },
  };
}

/** Ends a call whose answer has gone or whose client has, unless it has failed before. */
function endCall({ response, status = 0 }: Exchange, call: Call): void {
  if (!response.writableFinished) {
    call.cancel();
  } else if (status >= 400) {
    // The router has answered in our place.
    call.expire();
    call.end(call.cutBy?.code);
  } else {
    call.end(undefined);
  }
}

async function answerCall(exchange: Exchange, call: Call, options: ExportHandlerOptions): Promise<void> {
  const refusal = options.host.gate(call);
  if (refusal !== undefined) {
    throw refusal;
  }
  auditCall(call, options.logger);
  const { caller } = call;
  if (caller === undefined) {
    throw new Error("the gate let a call in without its caller");
  }
  requireScope(caller, "export");
  await (wantsKeptFile(exchange)
    ? sendKept(exchange, caller.name, options)
    : sendOwn(exchange, caller.name, call.signal, options));
}

function answerError(exchange: Exchange, call: Call, error: unknown, { logger }: ExportHandlerOptions): void {
  if (exchange.isClosed || exchange.hasAnswered) {
    logger.info("export broken off", { err: error });
    exchange.cut();
    return;
  }
  const { code, httpStatus, message, metadata } = describeError(error, {
    requestId: call.id,
    procedure: "GET /export.parquet",
    logger,
  });
  answerText(exchange, httpStatus, message, metadata);
  call.end(code);
}

async function sendOwn(
  exchange: Exchange,
  client: string,
  signal: AbortSignal,
  { exports }: ExportHandlerOptions,
): Promise<void> {
  await using file = await exports.create(client, signal);
  file.stalled.addEventListener("abort", () => exchange.cut());
  const { status, headers } = answerRequest(exchange, file);
  const send = async function* (): AsyncGenerator<Uint8Array> {
    yield* file.chunks();
    // Nothing is read any more: what the last chunk does to its reader must not keep file and slot.
    await file[Symbol.asyncDispose]();
  };
  await answerStream(exchange, status, headers, send());
}

async function sendKept(
  exchange: Exchange,
  client: string,
  { spool, stallMs = 30_000 }: ExportHandlerOptions,
): Promise<void> {
  using kept = await spool.open(client);
  const { status, headers, body } = answerRequest(exchange, kept.file);
  if (body === undefined) {
    exchange.writeHead(status, headers);
    exchange.response.end();
    exchange.discardRest();
    return;
  }
  using watch = new StallWatch(stallMs);
  watch.signal.addEventListener("abort", () => exchange.cut());
  await answerStream(exchange, status, headers, kept.file.read(body.start, body.end, watch));
}

/** From `start` to before `end`. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const SINGLE_RANGE = /^bytes=(\d*)-(\d*)$/;

/**
 * Reads a `Range` header (RFC 9110, 14.2).
 *
 * @returns the range, cut to the file; `unsatisfiable` when it begins behind the end; `whole` for what may be ignored:
 *   several ranges, other units and what is no range.
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

/** What an answer needs to know of a file. */
interface ServedFile {
  readonly id: string;
  readonly fileName: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly snapshotTime: number;
}

/** What an HTTP answer says and which bytes of the file it carries, if any. */
interface ExportAnswer {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: AnswerHeaders;
  readonly body: ByteRange | undefined;
}

/** Whether a request asks for the file, not only once for all of it: such a reader must see one file each time. */
function wantsKeptFile({ method, headers }: Exchange): boolean {
  const isConditional = headers["if-range"] !== undefined || headers["if-none-match"] !== undefined;
  return method === "HEAD" || headers.range !== undefined || isConditional;
}

/** Answers a GET or HEAD of a file: conditions and single ranges of RFC 9110. */
function answerRequest({ method, headers }: Exchange, file: ServedFile): ExportAnswer {
  const etag = `"${file.id}"`;
  const common = {
    etag: etag,
    "last-modified": new Date(file.snapshotTime).toUTCString(),
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
  };
  if (isNamed(headers["if-none-match"], etag)) {
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
    return { status: 416, headers: { ...common, ...unsatisfiable }, body: undefined };
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

function isNamed(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(",").some((tag) => ["*", etag, `W/${etag}`].includes(tag.trim()));
}
