import cluster from "node:cluster";
import { setTimeout as pause } from "node:timers/promises";
import { startApp } from "./app.ts";
import type { App, ListeningAddresses, Overrides } from "./app.ts";
import { openVehicleStore } from "./cache/open-vehicle-store.ts";
import { ConfigError, loadConfig } from "./config.ts";
import type { Config } from "./config.ts";
import { ConnectionDealer } from "./connection-dealer.ts";
import type { SnapshotSource } from "./snapshot/snapshot-source.ts";
import { openSnapshot } from "./snapshot/snapshot-source.ts";
import { createLogger, openTerminalLog } from "./telemetry/logger.ts";
import type { AuditLogger } from "./telemetry/logger.ts";
import { VERSION } from "./version.ts";
import { Worker } from "./worker.ts";
import { Workers } from "./workers.ts";

/** How long the start of the workers waits until the file of SNAPSHOT_PATH is unpacked. */
const UNPACKING_TIMEOUT_MS = 10_000;

/**
 * Runs the service until a signal stops it. A failure to start is reported and sets the exit code to 1.
 *
 * @param overrides parts that tests replace
 */
export async function serve(process: NodeJS.Process, overrides: Overrides = {}): Promise<void> {
  const config = readConfiguration(process);
  if (config === undefined) {
    return;
  }
  const { logLevel, logVins } = config;
  const terminal = await openTerminalLog(process.stdout);
  if (config.workers > 1 && cluster.isPrimary) {
    await runWorkers(process, config, createLogger(logLevel, terminal, null, logVins));
    return;
  }
  const worker = Worker.current();
  const base = worker === undefined ? null : { worker: worker.number };
  const logger = createLogger(logLevel, terminal, base, logVins);
  await run(process, config, { ...overrides, logger, worker });
  worker?.disconnect();
}

function readConfiguration(process: NodeJS.Process): Config | undefined {
  try {
    return loadConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
    return undefined;
  }
}

/** Starts several processes that serve, and waits until they have ended. */
async function runWorkers(process: NodeJS.Process, config: Config, logger: AuditLogger): Promise<void> {
  const stopRequested = nextSignal(process);
  await using stack = new AsyncDisposableStack();
  let snapshot: SnapshotSource | undefined;
  try {
    snapshot = await prepare(config, logger, stack);
  } catch (error) {
    reportStartFailure(process, logger, error);
    return;
  }
  const dealer = new ConnectionDealer();
  const listen = async (): Promise<void> => {
    try {
      const addresses = {
        grpc: await dealer.listen("GRPC_PORT", config.host, config.grpcPort),
        http: await dealer.listen("HTTP_PORT", config.host, config.httpPort),
      };
      logListening(logger, config, addresses, snapshot?.dataDate);
    } catch (error) {
      reportStartFailure(process, logger, error);
      workers.stop("SIGTERM", 1);
    }
  };
  const workers = new Workers({ count: config.workers, logger, dealer, onReady: () => void listen() });
  const stopOnSignal = async (): Promise<void> => {
    const signal = await stopRequested;
    logger.info("stopping", { signal, graceMs: config.shutdownGraceMs });
    workers.stop(signal);
  };
  void stopOnSignal();
  process.exitCode = await workers.ended;
  logger.info("stopped");
}

/**
 * Migrates the database and unpacks the snapshot, so that the workers do not have to.
 *
 * @param stack owns the returned snapshot, which is unpacked again when its file changes
 * @returns the snapshot, if it is a source
 */
async function prepare(
  config: Config,
  logger: AuditLogger,
  stack: AsyncDisposableStack,
): Promise<SnapshotSource | undefined> {
  await (await openVehicleStore({ ...config, logger }))[Symbol.asyncDispose]();
  if (!config.sources.includes("snapshot")) {
    return undefined;
  }
  const snapshot = stack.use(openSnapshot({ ...config, logger }));
  if (config.snapshotPath === undefined) {
    await snapshot.whenSettled();
  } else {
    // Unpacking NHTSA's own file takes minutes. The workers then start without it.
    await Promise.race([snapshot.whenSettled(), pause(UNPACKING_TIMEOUT_MS, undefined, { ref: false })]);
  }
  return snapshot;
}

type LoggingOverrides = Overrides & { readonly logger: AuditLogger };

async function run(process: NodeJS.Process, config: Config, overrides: LoggingOverrides): Promise<void> {
  const { logger, worker } = overrides;
  // A signal during the start stops the app as soon as it runs.
  const stopRequested = nextSignal(process);
  let app: App;
  try {
    app = await start(config, overrides);
  } catch (error) {
    reportStartFailure(process, logger, error);
    return;
  }
  const signal = await stopRequested;
  logger.info("stopping", { signal, delayMs: config.shutdownDelayMs, graceMs: config.shutdownGraceMs });
  const stopAccepting = async (): Promise<void> => {
    await pause(config.shutdownDelayMs);
    worker?.stopConnections();
  };
  await app.drain(config.shutdownGraceMs, stopAccepting());
  await app[Symbol.asyncDispose]();
  logger.info("stopped");
}

/** Starts the app. A worker gets its connections from the primary. */
async function start(config: Config, overrides: LoggingOverrides): Promise<App> {
  const { logger, worker } = overrides;
  await using starting = new AsyncDisposableStack();
  const app = starting.use(await startApp(config, overrides));
  if (worker === undefined) {
    logListening(logger, config, await app.listen(), app.dataDate());
  } else {
    worker.startConnections((socket) => app.accept(socket));
  }
  starting.move();
  return app;
}

function logListening(
  logger: AuditLogger,
  config: Config,
  { grpc, http }: ListeningAddresses,
  dataDate: string | undefined,
): void {
  logger.info("listening", {
    version: VERSION,
    grpc,
    http,
    sources: config.sources,
    dataDate,
    ...(config.tls.certFile !== undefined && { tls: true }),
    workers: config.workers,
  });
}

function reportStartFailure(process: NodeJS.Process, logger: AuditLogger, error: unknown): void {
  logger.error("cannot start", { reason: error instanceof Error ? error.message : String(error) });
  process.exitCode = 1;
}

/**
 * One request to stop can arrive as several signals: a terminal and systemd signal every process, and npm and the
 * launcher pass their signals on. Signals within this time count as one.
 */
const SAME_REQUEST_MS = 1_000;

/** Resolves with the first SIGTERM or SIGINT. A later one ends the process at once, as by default. */
export function nextSignal(process: NodeJS.EventEmitter): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const signals: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];
  const stop = (signal: NodeJS.Signals): void => {
    resolve(signal);
    setTimeout(() => {
      for (const each of signals) {
        process.off(each, stop);
      }
    }, SAME_REQUEST_MS).unref();
  };
  for (const each of signals) {
    process.on(each, stop);
  }
  return promise;
}
