import { startApp } from "./app.ts";
import type { App } from "./app.ts";
import { ConfigError, loadConfig } from "./config.ts";
import type { Config } from "./config.ts";
import { nodeFault } from "./node-version.ts";
import { createLogger } from "./telemetry/logger.ts";
import type { AuditLogger } from "./telemetry/logger.ts";

const config = readConfiguration();
if (config !== undefined) {
  await run(config, createLogger(config.logLevel));
}

function readConfiguration(): Config | undefined {
  const fault = nodeFault(process.versions.node);
  if (fault !== undefined) {
    return giveUp(fault);
  }
  try {
    return loadConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    return giveUp(error.message);
  }
}

/** Says why there is no service, where there is no log yet. */
function giveUp(reason: string): undefined {
  process.stderr.write(`${reason}\n`);
  process.exitCode = 1;
}

async function run(config: Config, logger: AuditLogger): Promise<void> {
  // Signals that come while the app starts stop it as soon as it runs.
  const stopRequested = nextSignal();
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

/** The first SIGTERM or SIGINT; a second one then ends the process at once, as is its default. */
function nextSignal(): Promise<NodeJS.Signals> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const signals: readonly NodeJS.Signals[] = ["SIGTERM", "SIGINT"];
  const stop = (signal: NodeJS.Signals): void => {
    for (const each of signals) {
      process.off(each, stop);
    }
    resolve(signal);
  };
  for (const each of signals) {
    process.on(each, stop);
  }
  return promise;
}
