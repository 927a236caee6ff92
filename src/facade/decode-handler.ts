import type { Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { AccessGuard, Caller } from "../access/access-guard.ts";
import type { Call } from "../rpc/call.ts";
import type { LookupCounter } from "../rpc/vehicle-handlers.ts";
import type { Exchange } from "../server/exchange.ts";
import { answerStream, chunksOf } from "../server/exchange.ts";
import { createCallHandler } from "../server/plain-call.ts";
import type { PlainHandler } from "../server/plain-call.ts";
import type { CallHost } from "../server/served-call.ts";
import type { Decoder } from "../table/decode-table.ts";
import { decodeTable } from "../table/decode-table.ts";
import { createLocalDecoder } from "../table/local-decoder.ts";
import type { TextFormat } from "../table/read-table.ts";
import { guessFormat, readTable, withHead } from "../table/read-table.ts";
import type { RowFormat } from "../table/row-format.ts";
import { CSV, JSONL } from "../table/row-format.ts";
import { TableError } from "../table/table.ts";
import { chooseColumns } from "../table/vehicle-columns.ts";
import { columnOfVins, indexOfColumn } from "../table/vin-column.ts";
import { InvalidFieldError } from "../vehicle/errors.ts";
import type { VehicleLookup } from "../vehicle/vehicle-lookup.ts";
import { AnswerSpool } from "./answer-spool.ts";

export interface DecodeHandlerOptions {
  readonly lookup: VehicleLookup;
  readonly guard: AccessGuard;
  readonly host: CallHost;
  readonly counter: LookupCounter;
  /** The directory for the temporary files of answers that clients do not read yet. */
  readonly directory: string;
  /** How long a client may send nothing, in ms. Default: 30 s. */
  readonly stallTimeoutMs?: number;
}

/** The query parameters, which are named like the options of `vehicle-service decode`. */
const PARAMETERS = new Set(["column", "year_column", "columns", "full"]);

/** The formats of requests and answers, by media type. For other types, the format is guessed from the content. */
const FORMATS: Readonly<Record<string, TextFormat>> = {
  "text/csv": "csv",
  "text/tab-separated-values": "tsv",
  "application/x-ndjson": "jsonl",
  "application/ndjson": "jsonl",
  "application/jsonl": "jsonl",
};

/**
 * Serves `POST /decode`. Decodes a table of any size as it arrives, and answers with one row for each row. A table that
 * exceeds the rate limit of its caller is slowed down, not refused.
 */
export function createDecodeHandler(options: DecodeHandlerOptions): PlainHandler {
  return createCallHandler({
    host: options.host,
    method: "BatchLookup",
    procedure: "POST /decode",
    maxMs: Infinity,
    watchesArrival: true,
    answer: (exchange, call, caller) => decode(exchange, call, caller, options),
  });
}

async function decode(exchange: Exchange, call: Call, caller: Caller, options: DecodeHandlerOptions): Promise<void> {
  const choices = readQuery(exchange.query);
  if ((exchange.headers["content-encoding"] ?? "identity") !== "identity") {
    throw new InvalidFieldError("content-encoding", "send the table uncompressed");
  }
  if (exchange.headers.expect !== undefined) {
    // Clients such as curl wait for 100 Continue before they send a large body.
    const response: Writable & { writeContinue?: () => void } = exchange.response;
    response.writeContinue?.();
  }
  await using spool = new AnswerSpool(options.directory);
  const { signal } = call;
  const bytes = await withHead(steadyChunks(exchange, options.stallTimeoutMs ?? 30_000));
  const table = await asInvalidField(async () => {
    const format = FORMATS[mediaTypeOf(exchange.headers["content-type"])] ?? guessFormat(bytes.head);
    if (format === "parquet") {
      throw new TableError("Parquet is not accepted here; vehicle-service decode reads it");
    }
    return { format, ...(await readTable(bytes, format)) };
  });
  const plan = await asInvalidField(async () => ({
    vinColumn: columnOfVins(table, choices.get("column") ?? undefined),
    yearColumn: choices.has("year_column")
      ? indexOfColumn(table, "year_column", choices.get("year_column") ?? "")
      : undefined,
    added: chooseColumns(
      { full: choices.get("full") === "true", names: choices.get("columns") ?? undefined },
      table.columns,
    ),
  }));
  const columns = [...table.columns, ...plan.added.names];
  const format = answerFormat(exchange.headers.accept, table.format);
  const local = createLocalDecoder(
    options.lookup,
    { requestId: call.id, procedure: "POST /decode", logger: options.host.logger },
    options.counter,
  );
  await spool.write(format.head(columns));
  const work = decodeTable({
    ...plan,
    rows: table.rows[Symbol.asyncIterator](),
    decoder: paced(local, options.guard, caller),
    signal,
    write: (rows) => spool.write(rows.map((cells) => format.row(cells, columns)).join("")),
    onProgress: () => {},
    earlier: { rows: 0, failed: 0 },
  }).then(
    () => spool.end(),
    (error: unknown) => spool.end(error),
  );
  const contentType = format === JSONL ? "application/x-ndjson" : "text/csv; charset=utf-8";
  await answerStream(
    exchange,
    200,
    { "content-type": contentType, "cache-control": "no-store", "x-content-type-options": "nosniff" },
    spool.read(),
  );
  // If the client leaves, the signal of the call ends the work.
  await work;
}

/** @throws InvalidFieldError when a parameter is unknown. */
function readQuery(query: string): URLSearchParams {
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (!PARAMETERS.has(name)) {
      throw new InvalidFieldError(name, `unknown parameter; use ${[...PARAMETERS].join(", ")}`);
    }
  }
  return parameters;
}

async function asInvalidField<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof TableError ? new InvalidFieldError("table", error.message.replaceAll("--", "")) : error;
  }
}

function mediaTypeOf(header: string | undefined): string {
  return (header ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

/** The format that the client accepts, or the format of the request if the client names none. */
function answerFormat(accept: string | undefined, requestFormat: TextFormat): RowFormat {
  const wanted = (accept ?? "").split(",").flatMap((type) => FORMATS[mediaTypeOf(type)] ?? []);
  return (wanted[0] ?? requestFormat) === "jsonl" ? JSONL : CSV;
}

/** The chunks of the request. @throws ConnectError DEADLINE_EXCEEDED when the client sends nothing for `timeoutMs` */
async function* steadyChunks(exchange: Exchange, timeoutMs: number): AsyncGenerator<Buffer> {
  const chunks = chunksOf(exchange.request);
  for (;;) {
    const stall = new AbortController();
    const stalled = sleep(timeoutMs, undefined, { signal: stall.signal, ref: false }).then(() => {
      exchange.endConnection();
      throw new ConnectError("the request stopped arriving", Code.DeadlineExceeded);
    });
    try {
      const next = await Promise.race([chunks.next(), stalled]);
      if (next.done === true) {
        return;
      }
      yield next.value;
    } finally {
      stalled.catch(() => {});
      stall.abort();
    }
  }
}

/** Before each group of rows, waits until the caller's rate limit allows it. */
function paced(decoder: Decoder, guard: AccessGuard, caller: Caller): Decoder {
  return {
    async decode(queries, view, signal) {
      for (
        let waitMs = guard.chargeWhenAllowed(caller, queries.length);
        waitMs > 0;
        waitMs = guard.chargeWhenAllowed(caller, queries.length)
      ) {
        await sleep(waitMs, undefined, { signal });
      }
      return decoder.decode(queries, view, signal);
    },
  };
}
