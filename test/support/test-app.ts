import type { App } from "../../src/app.ts";
import { startApp } from "../../src/app.ts";
import type { ServerLimits } from "../../src/server/server.ts";
import { loadConfig } from "../../src/config.ts";
import type { AuditLogger } from "../../src/telemetry/logger.ts";
import { startFakeVpic } from "./fake-vpic.ts";
import type { FakeVpic, FakeVpicOptions } from "./fake-vpic.ts";
import { MemoryLogger } from "./memory-logger.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** The whole service in this process, with a vPIC of our own and a data directory that is deleted at the end. */
export interface TestApp extends App {
  readonly vpic: FakeVpic;
  readonly logger: MemoryLogger;
  /** `host:port` of the gRPC listener. */
  readonly grpcAddress: string;
  /** `host:port` of the HTTP listener. */
  readonly httpAddress: string;
}

/** Options of a test's service. */
export interface TestAppOptions {
  /** Environment variables. Defaults: free ports, and vPIC as the only source. */
  readonly env?: Readonly<Record<string, string>>;
  readonly vpic?: FakeVpicOptions;
  readonly now?: () => number;
  /** See `Overrides`, as the next. */
  readonly stallTimeoutMs?: number;
  readonly limits?: ServerLimits;
  /** Default: one that keeps its lines. */
  readonly log?: AuditLogger;
}

/** Starts the service on free ports of loopback. */
export async function startTestApp({
  env = {},
  vpic: vpicOptions,
  log,
  ...overrides
}: TestAppOptions = {}): Promise<TestApp> {
  await using starting = new AsyncDisposableStack();
  const directory = starting.use(await temporaryDirectory());
  const vpic = starting.use(await startFakeVpic(vpicOptions));
  const logger = new MemoryLogger();
  const config = loadConfig({
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    DATA_DIR: directory.path,
    SOURCES: "vpic",
    // On a busy machine any call may be slow.
    LOG_SLOW_CALLS: "1d",
    VPIC_URL: vpic.url,
    ...env,
  });
  const app = starting.use(await startApp(config, { logger: log ?? logger, ...overrides }));
  const { grpc: grpcAddress, http: httpAddress } = await app.listen();
  const running = starting.move();
  return { ...app, grpcAddress, httpAddress, vpic, logger, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
