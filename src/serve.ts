import { startApp } from "./app.ts";
import type { App } from "./app.ts";
import { ConfigError, loadConfig } from "./config.ts";
import type { Config } from "./config.ts";
import { createLogger } from "./telemetry/logger.ts";
import type { AuditLogger } from "./telemetry/logger.ts";

/** Runs the service until a signal stops it. A failure to start is reported and sets the exit code to 1. */
export async function serve(process: NodeJS.Process): Promise<void> {
  const config = readConfiguration(process);
  if (config !== undefined) {
    await run(process, config, createLogger(config.logLevel));
  }
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

async function run(process: NodeJS.Process, config: Config, logger: AuditLogger): Promise<void> {
  // A signal during the start stops the app as soon as it runs.
  const stopRequested = nextSignal(process);
  let app: App;
  try {
    app = await startApp(config, { logger });
  } catch (error) {
    logger.error("cannot start", { reason: error instanceof Error ? error.message : String(error) });
    process.exitCode = 1;
    return;
  }
  const signal = await stopRequested;
  logger.info("stopping", { signal, graceMs: config.shutdownGraceMs });
  await app.drain(config.shutdownGraceMs);
  await app[Symbol.asyncDispose]();
  logger.info("stopped");
}

/**
 * One request to stop can arrive as several signals: a terminal and systemd signal every process, and npm and the
 * launcher pass their signals on. Signals within this time count as one.
 */
const SAME_STOP_MS = 1_000;

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
    }, SAME_STOP_MS).unref();
  };
  for (const each of signals) {
    process.on(each, stop);
  }
  return promise;
}
