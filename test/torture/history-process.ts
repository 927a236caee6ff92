/** Records histories for RecordingProcesses. Opens a database on request, reports it, and begins on request. */
import { once } from "node:events";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { silentLogger } from "../support/silent-logger.ts";
import type { RecordingStart, RecordingTask } from "./removal-history.ts";
import { recordHistory } from "./removal-history.ts";

/** Only a hang takes so long. */
const PATIENCE_MS = 10_000;

process.on("message", (task: RecordingTask | RecordingStart) => {
  if ("databaseUrl" in task) {
    void record(task);
  }
});

async function record({ databaseUrl, ...options }: RecordingTask): Promise<void> {
  await using vehicles = await openVehicleStore({ databaseUrl, logger: silentLogger, readTimeoutMs: PATIENCE_MS });
  const begin = once(process, "message");
  process.send?.([]);
  await begin;
  process.send?.(await recordHistory(vehicles, options));
}
