import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { makeToken } from "../../../src/cli/make-token.ts";
import { createAuthority } from "../../support/certificates.ts";
import { ServiceProcess } from "../../support/service-process.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import type { Target } from "./load.ts";
import { CACHED_VIN } from "./requests.ts";

const READY_LIMIT_MS = 60_000;
const RETRY_MS = 200;
/** The limits are on, but never reached. */
const RATE_LIMIT = "1000000";

export interface ServiceOptions {
  /** The directory of the unpacked snapshot. */
  readonly dataDir: string;
  /** Whether both ports speak TLS. Default: they do not. */
  readonly isSecured?: boolean;
  /** Directory of the version to start. Default: this one. */
  readonly checkout?: string | undefined;
  /** Default: 1. */
  readonly workers?: number | undefined;
  /** Default: a SQLite file of its own. */
  readonly databaseUrl?: string | undefined;
  /** Further variables. Default: none. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** The service as a process of its own with everything on, its snapshot loaded and one vehicle in an empty cache. */
export class Service implements AsyncDisposable {
  readonly pid: number;
  /** The time from its start to its log line `listening`. */
  readonly startMs: number;
  readonly #process: ServiceProcess;
  readonly #token: string;
  readonly #ca: string | undefined;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    process: ServiceProcess,
    startMs: number,
    token: string,
    ca: string | undefined,
    owned: AsyncDisposableStack,
  ) {
    this.pid = process.pid;
    this.startMs = startMs;
    this.#process = process;
    this.#token = token;
    this.#ca = ca;
    this.#owned = owned;
  }

  static async start(options: ServiceOptions): Promise<Service> {
    const { dataDir, isSecured = false, checkout, workers = 1, databaseUrl, env: given } = options;
    await using starting = new AsyncDisposableStack();
    const { path } = starting.use(await temporaryDirectory());
    const tokens = await writeTokens(path);
    const certificate = isSecured ? await writeCertificate(path) : undefined;
    const env = {
      DATA_DIR: dataDir,
      DATABASE_URL: databaseUrl ?? `sqlite:${join(path, "vehicles.db")}`,
      SOURCES: "snapshot",
      LOG_LEVEL: "info",
      RATE_LIMIT_PER_SECOND: RATE_LIMIT,
      RATE_LIMIT_BURST: RATE_LIMIT,
      CONNECTIONS_PER_ADDRESS: "unlimited",
      WORKERS: String(workers),
      ...tokens.env,
      ...certificate?.env,
      ...given,
    };
    const startedAt = performance.now();
    const process = starting.use(await ServiceProcess.start(env, checkout));
    const startMs = performance.now() - startedAt;
    const service = new Service(process, startMs, tokens.secret, certificate?.ca, starting.move());
    await service.#fillCache();
    return service;
  }

  /** The address for calls of a protocol: the port that has spoken it in every version. */
  target(protocol: Target["protocol"]): Target {
    const address = protocol === "gRPC" ? this.#process.grpcAddress : this.#process.httpAddress;
    return { protocol, address, ca: this.#ca, token: this.#token };
  }

  /** A usual client, for calls whose answers matter. */
  client(): Client<typeof VehicleService> {
    const { address, ca } = this.target("gRPC");
    const transport = createGrpcTransport({
      baseUrl: `${ca === undefined ? "http" : "https"}://${address}`,
      nodeOptions: { ca },
      interceptors: [
        (next) => async (request) => {
          request.header.set("authorization", `Bearer ${this.#token}`);
          return await next(request);
        },
      ],
    });
    return createClient(VehicleService, transport);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#owned.disposeAsync();
  }

  /** Looks the vehicle up until it comes from the cache: the first start unpacks the snapshot, which takes seconds. */
  async #fillCache(): Promise<void> {
    const client = this.client();
    const endsAt = performance.now() + READY_LIMIT_MS;
    for (let isCached = false; !isCached;) {
      try {
        ({ cached: isCached } = await client.lookup({ vin: CACHED_VIN }));
      } catch (error) {
        if (performance.now() > endsAt) {
          throw error;
        }
        await pause(RETRY_MS);
      }
    }
  }
}

async function writeTokens(directory: string): Promise<{ secret: string; env: Record<string, string> }> {
  const file = join(directory, "tokens");
  const { line, secret } = makeToken(["bench", "lookup"], randomBytes, Date.now());
  await writeFile(file, `${line}\n`);
  return { secret, env: { AUTH_TOKENS_FILE: file } };
}

async function writeCertificate(directory: string): Promise<{ ca: string; env: Record<string, string> }> {
  const authority = createAuthority();
  const { cert, key } = authority.issue("localhost");
  const env = { TLS_CERT_FILE: join(directory, "cert.pem"), TLS_KEY_FILE: join(directory, "key.pem") };
  await Promise.all([writeFile(env.TLS_CERT_FILE, cert), writeFile(env.TLS_KEY_FILE, key)]);
  return { ca: authority.cert, env };
}
