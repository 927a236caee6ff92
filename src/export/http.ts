import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";

import type { Logger } from "../telemetry/logger.ts";
import { cutOff } from "./cut-off.ts";
import { ExportLimitError, ExportStorageError } from "./errors.ts";
import { answerRequest, wantsKeptFile } from "./export-request.ts";
import type { ExportSpool } from "./export-spool.ts";
import { StallWatch } from "./stall-watch.ts";
import type { VehicleExports } from "./vehicle-exports.ts";

export interface ExportHandlerOptions {
  readonly exports: VehicleExports;
  readonly spool: ExportSpool;
  readonly logger: Logger;
  /** How long a reader may take nothing. Default: 30 s. */
  readonly stallMs?: number;
  /** How long an answer may take in all. Default: 10 min, as for the RPC. */
  readonly maxMs?: number;
}

/**
 * Answers `/export.parquet`; never rejects. Who the client is, and whether it may export, is decided before.
 *
 * @param client whose export it is, in any spelling that tells clients apart.
 */
export type ExportHandler = (request: IncomingMessage, response: ServerResponse, client: string) => Promise<void>;

const DEFAULT_STALL_MS = 30_000;
const DEFAULT_MAX_MS = 600_000;
const RETRY_STORAGE_SECONDS = 60;

/**
 * A plain GET is an export of its own. HEAD, ranges and conditions are answered from a file that is kept for the client a
 * short while, so that many requests of one reader see the same file; reading it is not an export for the limits.
 */
export function createExportHandler(options: ExportHandlerOptions): ExportHandler {
  return async (request, response, client) => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      refuse(response, 405, "use GET or HEAD", { Allow: "GET, HEAD" });
      return;
    }
    const gone = new AbortController();
    response.once("close", () => {
      gone.abort();
    });
    const deadline = setTimeout(() => endLate(response), options.maxMs ?? DEFAULT_MAX_MS);
    try {
      await (wantsKeptFile(request)
        ? sendKept(options, request, response, client)
        : sendOwn(options, request, response, client, gone.signal));
    } catch (error) {
      const fields = { err: error };
      if (response.headersSent || gone.signal.aborted) {
        options.logger.info("export broken off", fields);
        if (!response.writableEnded) {
          cutOff(response);
        }
        return;
      }
      const refusal = refusalOf(error);
      if (refusal.fault !== undefined) {
        options.logger.error(refusal.fault, fields);
      }
      refuse(response, refusal.status, refusal.told, refusal.headers);
    } finally {
      clearTimeout(deadline);
    }
  };
}

async function sendOwn(
  { exports, stallMs }: ExportHandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  client: string,
  signal: AbortSignal,
): Promise<void> {
  await using file = await exports.create(client, signal);
  file.stalled.addEventListener("abort", () => cutOff(response));
  const { status, headers } = answerRequest(request, file);
  response.writeHead(status, headers);
  using last = watchLast(response, stallMs);
  await pipeline(async function* send() {
    yield* file.chunks();
    // Nothing is read any more; what the last chunk does to its reader must not keep file and slot.
    await file[Symbol.asyncDispose]();
    last.resume();
  }, response);
}

async function sendKept(
  { spool, stallMs }: ExportHandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  client: string,
): Promise<void> {
  using kept = await spool.open(client);
  const { status, headers, body } = answerRequest(request, kept.file);
  response.writeHead(status, headers);
  if (body === undefined) {
    response.end();
    return;
  }
  using watch = new StallWatch(stallMs ?? DEFAULT_STALL_MS);
  watch.signal.addEventListener("abort", () => cutOff(response));
  using last = watchLast(response, stallMs);
  await pipeline(async function* send() {
    yield* kept.file.read(body.start, body.end, watch);
    kept[Symbol.dispose]();
    last.resume();
  }, response);
}

/** Cuts off a reader that does not take what was read last. Its clock stands still until it is resumed. */
function watchLast(response: ServerResponse, stallMs = DEFAULT_STALL_MS): StallWatch {
  const watch = new StallWatch(stallMs);
  watch.pause();
  watch.signal.addEventListener("abort", () => cutOff(response));
  return watch;
}

function endLate(response: ServerResponse): void {
  if (response.headersSent) {
    cutOff(response);
  } else {
    refuse(response, 504, "the export took too long", {});
  }
}

interface Refusal {
  readonly status: number;
  readonly told: string;
  readonly headers: Readonly<Record<string, string | number>>;
  /** What the log is told, when it is a fault. */
  readonly fault?: string;
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof ExportLimitError) {
    const headers = { "Retry-After": Math.ceil(error.retryAfterMs / 1000) };
    return { status: 429, told: "too many exports run", headers };
  }
  if (error instanceof ExportStorageError) {
    const headers = { "Retry-After": RETRY_STORAGE_SECONDS };
    return { status: 507, told: "there is no room for an export", headers, fault: "export without room" };
  }
  return { status: 500, told: "the export failed", headers: {}, fault: "export failed" };
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  headers: Readonly<Record<string, string | number>>,
): void {
  response.writeHead(status, { ...headers, "Content-Type": "text/plain; charset=utf-8" });
  response.end(`${message}\n`);
}
