import { isIP } from "node:net";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Dispatcher } from "undici";
import { errors, Pool } from "undici";
import type { VehicleQuery } from "../vehicle/vehicle.ts";
import type { VpicRow } from "./vpic-answer.ts";
import { readRows } from "./vpic-answer.ts";
import { VpicError } from "./vpic-error.ts";

/** Sends requests to vPIC. */
export interface VpicTransport extends AsyncDisposable {
  /**
   * Sends one request for these VINs (at most 50, without duplicates) and returns all rows of the answer.
   *
   * @throws VpicError when the request fails; the reason of `signal` when aborted.
   */
  fetchRows(queries: readonly VehicleQuery[], signal: AbortSignal): Promise<readonly VpicRow[]>;
}

export interface VpicClientOptions {
  /** The result of {@link parseVpicUrl}. */
  readonly baseUrl: string;
  /** The service and its version, such as `VehicleService/1.0.0`. */
  readonly userAgent: string;
  /** Time limit for a connection, including DNS and TLS. */
  readonly connectTimeoutMs: number;
  /** The wall clock, in ms since the epoch. */
  readonly now: () => number;
}

const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
const MAX_BYTES = 1024 * 1024;
const MAX_BATCH_BYTES = 8 * MAX_BYTES;
/** Maximum number of bytes of an unused answer that are read so that its connection can be reused. */
const MAX_DUMPED_BYTES = 64 * 1024;
const gunzipAsync = promisify(gunzip);

/**
 * Parses the address of the vPIC API, such as `https://vpic.nhtsa.dot.gov/api`.
 *
 * @returns the address without a final slash.
 * @throws Error when it cannot be used. Plain http is for loopback only: otherwise anyone on the network path could
 *   write vehicles into the cache.
 */
export function parseVpicUrl(text: string): string {
  const url = URL.parse(text.trim());
  if (url === null) {
    throw new Error("expected a URL such as https://vpic.nhtsa.dot.gov/api");
  }
  // A password with an unescaped slash ends up as an @ in the path.
  if (url.username !== "" || url.password !== "" || url.pathname.includes("@")) {
    throw new Error("must not contain a user name or password");
  }
  if (url.search !== "" || url.hash !== "") {
    throw new Error("must not contain a query or a fragment");
  }
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
    throw new Error("must be https (plain http is allowed for loopback only)");
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || (isIP(hostname) === 4 && hostname.startsWith("127."));
}

/** The HTTP client for vPIC. One call is one request: it follows no redirects and repeats nothing. */
export class VpicClient implements VpicTransport {
  readonly #pool: Pool;
  readonly #basePath: string;
  readonly #userAgent: string;
  readonly #now: () => number;

  constructor(options: VpicClientOptions) {
    const url = new URL(options.baseUrl);
    this.#basePath = url.pathname.replace(/\/$/, "");
    this.#userAgent = options.userAgent;
    this.#now = options.now;
    this.#pool = new Pool(url.origin, {
      allowH2: false,
      pipelining: 1,
      connect: { timeout: options.connectTimeoutMs },
    });
  }

  async fetchRows(queries: readonly VehicleQuery[], signal: AbortSignal): Promise<readonly VpicRow[]> {
    const { maxBytes, ...request } = toRequest(this.#basePath, queries);
    try {
      const response = await this.#pool.request({
        ...request,
        headers: {
          ...request.headers,
          accept: "application/json",
          "accept-encoding": "gzip",
          "user-agent": this.#userAgent,
        },
        signal,
      });
      this.#checkHead(response);
      return readRows(await readText(response, maxBytes));
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof VpicError ? error : toNetworkError(error);
    }
  }

  /** Closes all connections; running requests fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }

  #checkHead({ statusCode, headers, body }: Dispatcher.ResponseData): void {
    const contentType = firstOf(headers["content-type"]) ?? "";
    if (statusCode === 200 && JSON_TYPE.test(contentType)) {
      return;
    }
    // An unread body would keep the connection busy. Errors while reading it do not matter.
    body.dump({ limit: MAX_DUMPED_BYTES }).catch(() => undefined);
    if (statusCode !== 200) {
      const retryAfterMs = readRetryAfterMs(firstOf(headers["retry-after"]), this.#now());
      throw new VpicError("status", `vPIC answered with status ${statusCode}`, { status: statusCode, retryAfterMs });
    }
    throw new VpicError("foreign", "the answer is not application/json", { status: statusCode });
  }
}

/** The parts of a request for undici. */
interface VpicRequest {
  readonly method: "GET" | "POST";
  /** Path and query, without the origin. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** The maximum size of the answer. */
  readonly maxBytes: number;
}

/** One VIN is sent by GET, several by POST to the batch endpoint. */
function toRequest(basePath: string, queries: readonly VehicleQuery[]): VpicRequest {
  const [first, ...others] = queries;
  return first !== undefined && others.length === 0 ? toGet(basePath, first) : toPost(basePath, queries);
}

function toGet(basePath: string, query: VehicleQuery): VpicRequest {
  const parameters = new URLSearchParams({ format: "json" });
  if (query.modelYear !== undefined) {
    parameters.set("modelyear", String(query.modelYear));
  }
  return {
    method: "GET",
    path: `${basePath}/vehicles/DecodeVinValues/${encodeURIComponent(query.vin)}?${parameters.toString()}`,
    headers: {},
    body: null,
    maxBytes: MAX_BYTES,
  };
}

function toPost(basePath: string, queries: readonly VehicleQuery[]): VpicRequest {
  const items = queries.map(({ vin, modelYear }) => (modelYear === undefined ? vin : `${vin},${modelYear}`));
  return {
    method: "POST",
    path: `${basePath}/vehicles/DecodeVINValuesBatch/`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    // The format belongs in the body: vPIC ignores it in the query, and answers with XML.
    body: new URLSearchParams({ format: "json", data: items.join(";") }).toString(),
    maxBytes: MAX_BATCH_BYTES,
  };
}

const SECONDS = /^\d{1,9}$/;

/**
 * Parses a `Retry-After` header: seconds or a date.
 *
 * @param nowMs the wall clock, in ms since the epoch.
 * @returns ms from now, not negative; undefined when the header is missing or malformed.
 */
export function readRetryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  if (header === undefined) {
    return undefined;
  }
  const text = header.trim();
  if (SECONDS.test(text)) {
    return Number(text) * 1_000;
  }
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

async function readText({ headers, body }: Dispatcher.ResponseData, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stream: AsyncIterable<Uint8Array> = body;
  for await (const chunk of stream) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new VpicError("too-large", `the answer is larger than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  const encoding = firstOf(headers["content-encoding"]) ?? "identity";
  return (await decompress(Buffer.concat(chunks), encoding, maxBytes)).toString("utf8");
}

async function decompress(bytes: Buffer, encoding: string, maxBytes: number): Promise<Buffer> {
  if (encoding === "identity") {
    return bytes;
  }
  if (encoding !== "gzip") {
    throw new VpicError("foreign", "the answer has an unexpected content-encoding");
  }
  try {
    return await gunzipAsync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    throw new VpicError("foreign", "the answer cannot be decompressed", { cause: error });
  }
}

function toNetworkError(error: unknown): VpicError {
  const isTimeout = error instanceof errors.ConnectTimeoutError || error instanceof errors.HeadersTimeoutError;
  return isTimeout
    ? new VpicError("timeout", "no connection to vPIC in time", { cause: error })
    : new VpicError("network", "the connection to vPIC failed", { cause: error });
}

function firstOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
