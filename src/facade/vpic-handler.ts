import type { AccessGuard } from "../access/access-guard.ts";
import type { Call } from "../rpc/call.ts";
import type { ErrorDescription } from "../rpc/describe-error.ts";
import { MAX_BATCH_VINS, parseModelYear } from "../rpc/request-fields.ts";
import type { Exchange } from "../server/exchange.ts";
import { answerBytes, answerStream, chunksOf } from "../server/exchange.ts";
import { createCallHandler } from "../server/plain-call.ts";
import type { PlainHandler } from "../server/plain-call.ts";
import type { CallHost } from "../server/served-call.ts";
import { InvalidFieldError } from "../vehicle/errors.ts";
import type { VpicAnswer, VpicDecoder, VpicQuestion } from "./vpic-decoder.ts";
import { formatCsv, formatJson, toLongRows } from "./vpic-rows.ts";

export interface VpicHandlerOptions {
  readonly decoder: VpicDecoder;
  readonly guard: AccessGuard;
  readonly host: CallHost;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
}

/** Names of operations, in lower case, because clients spell them in many ways. */
const FLAT = new Set(["decodevinvalues", "decodevinvaluesextended"]);
const LONG = new Set(["decodevin", "decodevinextended"]);
const BATCH = "decodevinvaluesbatch";
const SERVED =
  "Served here: GET /api/vehicles/DecodeVinValues/{vin}, DecodeVinValuesExtended, DecodeVin and DecodeVinExtended, and " +
  "POST /api/vehicles/DecodeVINValuesBatch/.";

type Format = "json" | "csv";

/** Serves `GET /api/vehicles/DecodeVinValues/{vin}`, `DecodeVin` and their extended forms, as vPIC does. */
export function createVpicLookupHandler(options: VpicHandlerOptions): PlainHandler {
  return createCallHandler({
    host: options.host,
    method: "Lookup",
    procedure: "GET /api/vehicles",
    answerError,
    answer: (exchange, call) => answerOne(exchange, call, options),
  });
}

/** Serves `POST /api/vehicles/DecodeVINValuesBatch/`, with as many VINs as BatchLookup takes. */
export function createVpicBatchHandler(options: VpicHandlerOptions): PlainHandler {
  return createCallHandler({
    host: options.host,
    method: "BatchLookup",
    procedure: "POST /api/vehicles",
    answerError,
    answer: (exchange, call, caller) =>
      answerBatch(exchange, call, options, (more) => options.guard.charge(caller, more)),
  });
}

async function answerOne(exchange: Exchange, call: Call, { decoder, now }: VpicHandlerOptions): Promise<void> {
  const [operation = "", vin = "", ...rest] = segmentsOf(exchange.path);
  const isLong = LONG.has(operation.toLowerCase());
  if (!(isLong || FLAT.has(operation.toLowerCase())) || vin === "" || rest.length > 0) {
    answerMessage(exchange, 404, SERVED);
    return;
  }
  const parameters = new URLSearchParams(exchange.query);
  const format = readFormat(parameters);
  const modelYear = readModelYear(find(parameters, "modelyear"), now());
  const answers = await decoder.decode([{ vin, modelYear }], call.timeoutMs(), call.signal);
  const rows = answers.map(({ row }) => row);
  await (isLong
    ? send(exchange, format, `VIN:${vin}`, answers, rows.flatMap(toLongRows))
    : send(exchange, format, `VIN(s): ${vin}`, answers, rows));
}

async function answerBatch(
  exchange: Exchange,
  call: Call,
  { decoder, now }: VpicHandlerOptions,
  charge: (more: number) => void,
): Promise<void> {
  const [operation = "", ...rest] = segmentsOf(exchange.path);
  if (operation.toLowerCase() !== BATCH || rest.length > 0) {
    answerMessage(exchange, 404, SERVED);
    return;
  }
  const body = await readBody(exchange, call.method.rule.maxRequestBytes);
  if (body === undefined) {
    answerMessage(exchange, 413, `The request is larger than ${call.method.rule.maxRequestBytes} bytes.`);
    return;
  }
  // vPIC accepts the format in the body and in the query.
  const parameters = new URLSearchParams(body);
  const format = readFormat(new URLSearchParams([...parameters, ...new URLSearchParams(exchange.query)]));
  const questions = readData(find(parameters, "data") ?? "", now());
  charge(questions.length - 1);
  const answers = await decoder.decode(questions, call.timeoutMs(), call.signal);
  const rows = answers.map(({ row }) => row);
  await send(exchange, format, "", answers, rows);
}

/** The decoded segments of the path after `/api/vehicles/`, without an empty last one. */
function segmentsOf(path: string): string[] {
  const [, , , ...segments] = path.split("/");
  if (segments.at(-1) === "") {
    segments.pop();
  }
  try {
    return segments.map(decodeURIComponent);
  } catch {
    return [];
  }
}

function find(parameters: URLSearchParams, name: string): string | undefined {
  return [...parameters].find(([key]) => key.toLowerCase() === name)?.[1];
}

/** Requires a format, because vPIC's default is XML, which is not served. */
function readFormat(parameters: URLSearchParams): Format {
  const format = find(parameters, "format")?.toLowerCase();
  if (format !== "json" && format !== "csv") {
    throw new InvalidFieldError("format", "add format=json or format=csv; XML is not served");
  }
  return format;
}

function readModelYear(text: string | undefined, now: number): number | undefined {
  if (text === undefined || text.trim() === "") {
    return undefined;
  }
  const year = /^\s*\d{4}\s*$/.test(text) ? Number(text) : Number.NaN;
  return parseModelYear(year, now, "modelyear");
}

/** @param data such as `VIN,year;VIN;`; years and the last semicolon are optional */
function readData(data: string, now: number): VpicQuestion[] {
  const items = data.split(/[;\r\n]/).filter((item) => item.trim() !== "");
  if (items.length === 0 || items.length > MAX_BATCH_VINS) {
    throw new InvalidFieldError("data", `expected 1 to ${MAX_BATCH_VINS} VINs, separated by semicolons`);
  }
  return items.map((item) => {
    const [vin = "", year] = item.split(",");
    return { vin: vin.trim(), modelYear: readModelYear(year, now) };
  });
}

/** Reads the body. Returns undefined when it is larger than allowed. */
async function readBody(exchange: Exchange, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(exchange.request)) {
    size += chunk.length;
    if (size > maxBytes) {
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function send(
  exchange: Exchange,
  format: Format,
  criteria: string,
  answers: readonly VpicAnswer[],
  rows: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const headers = {
    "content-type": format === "json" ? "application/json; charset=utf-8" : "text/csv; charset=utf-8",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "x-vehicle-source": [...new Set(answers.map(({ source }) => source))].join(","),
    "x-vehicle-cached": String(answers.every(({ cached }) => cached)),
    "x-vehicle-stale": String(answers.some(({ stale }) => stale)),
  };
  const pieces = format === "json" ? formatJson(criteria, rows) : formatCsv(rows);
  await answerStream(exchange, 200, headers, toBytes(pieces));
}

async function* toBytes(pieces: Iterable<string>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    yield Buffer.from(piece);
  }
}

function answerError(exchange: Exchange, { httpStatus, message, metadata }: ErrorDescription): void {
  answerMessage(exchange, httpStatus, message, metadata);
}

/** Answers with an error that has the form of vPIC's errors. */
function answerMessage(
  exchange: Exchange,
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  answerBytes(
    exchange,
    status,
    { "content-type": "application/json; charset=utf-8", ...headers },
    JSON.stringify({ message }),
  );
}
