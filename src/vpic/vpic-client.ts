import { promisify } from "node:util";
import { gunzip } from "node:zlib";

import type { Dispatcher } from "undici";
import { errors, Pool } from "undici";

import type { VehicleQuery } from "../vehicle/vehicle.ts";
import type { VpicRow } from "./answer.ts";
import { readRows } from "./answer.ts";
import { readRetryAfterMs } from "./retry-after.ts";
import { VpicFault } from "./vpic-fault.ts";
import { toVpicRequest } from "./vpic-request.ts";

/** Carries questions to vPIC. */
export interface VpicTransport extends AsyncDisposable {
  /**
   * Sends one request for these VINs (at most 50, each once) and reads the rows of the answer, whichever VINs they are
   * for.
   *
   * @throws VpicFault, or the reason of `signal`.
   */
  fetchRows(queries: readonly VehicleQuery[], signal: AbortSignal): Promise<readonly VpicRow[]>;
}

export interface VpicClientOptions {
  /** As {@link parseVpicUrl} gives it. */
  readonly baseUrl: string;
  /** Names the service and its version, such as `VehicleService/1.0.0`. */
  readonly userAgent: string;
  /** How long connecting may take, with DNS and TLS. */
  readonly connectTimeoutMs: number;
  /** The wall clock, in ms since the epoch. */
  readonly now: () => number;
}

const JSON_TYPE = /^application\/json\s*(?:;|$)/i;
const MAX_DUMPED_BYTES = 64 * 1024;
const gunzipAsync = promisify(gunzip);

/** Speaks HTTP with vPIC. One call is one request: no redirect is followed, nothing is repeated. */
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
    const { maxBytes, ...request } = toVpicRequest(this.#basePath, queries);
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
      throw error instanceof VpicFault ? error : toNetworkFault(error);
    }
  }

  /** Breaks all connections; requests under way fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }

  #checkHead({ statusCode, headers, body }: Dispatcher.ResponseData): void {
    const contentType = firstOf(headers["content-type"]) ?? "";
    if (statusCode === 200 && JSON_TYPE.test(contentType)) {
      return;
    }
    // What is not read would keep the connection busy; an error on the way is of no interest.
    body.dump({ limit: MAX_DUMPED_BYTES }).catch(() => undefined);
    if (statusCode !== 200) {
      const retryAfterMs = readRetryAfterMs(firstOf(headers["retry-after"]), this.#now());
      throw new VpicFault("status", `vPIC answered with status ${statusCode}`, { status: statusCode, retryAfterMs });
    }
    throw new VpicFault("foreign", "the answer is not application/json", { status: statusCode });
  }
}

async function readText({ headers, body }: Dispatcher.ResponseData, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stream: AsyncIterable<Uint8Array> = body;
  for await (const chunk of stream) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new VpicFault("too-large", "the answer is larger than an answer of vPIC can be");
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
    throw new VpicFault("foreign", "the answer is compressed in a way that was not asked for");
  }
  try {
    return await gunzipAsync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    throw new VpicFault("foreign", "the answer cannot be decompressed", { cause: error });
  }
}

function toNetworkFault(error: unknown): VpicFault {
  const isTimeout = error instanceof errors.ConnectTimeoutError || error instanceof errors.HeadersTimeoutError;
  return isTimeout
    ? new VpicFault("timeout", "vPIC could not be connected to in time", { cause: error })
    : new VpicFault("network", "the connection to vPIC failed", { cause: error });
}

function firstOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
