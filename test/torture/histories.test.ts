import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Decode, VehicleQuery } from "../../src/vehicle/vehicle.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import {
  answersOfOthers,
  recordHistory,
  RecordingProcesses,
  removesDuringDecodes,
  violationsOf,
} from "./removal-history.ts";

const SEEDS = [1, 2];
const STEPS = 200;
/** Only a hang takes so long. */
const HANG_MS = 600_000;

describe("row 16: no answer of the cache is older than an acknowledged Remove", () => {
  const stack = new AsyncDisposableStack();
  let processes: RecordingProcesses;
  let directory: string;
  beforeAll(async () => {
    processes = stack.use(new RecordingProcesses());
    directory = stack.use(await temporaryDirectory()).path;
  });
  afterAll(() => stack.disposeAsync());

  test.each([
    ["one SQLite file", async () => `sqlite:${join(directory, "vehicles.db")}`],
    ["one PostgreSQL database", () => createSharedDatabase("histories")],
  ])("with two processes on %s", { timeout: HANG_MS }, async (_place, createDatabase) => {
    const databaseUrl = await createDatabase();

    for (const seed of SEEDS) {
      const history = await processes.record(databaseUrl, seed, STEPS);

      expect(violationsOf(history)).toEqual([]);
      expect(answersOfOthers(history)).toBeGreaterThan(0);
      expect(removesDuringDecodes(history)).toBeGreaterThan(0);
    }
  });

  test("a store whose puts undo Removes is detected", async () => {
    const history = await recordHistory(new UndoingStore(), { process: "only", seed: 1, steps: STEPS });
    const sound = await recordHistory(new MemoryStore(), { process: "only", seed: 1, steps: STEPS });

    expect(violationsOf(history)).not.toEqual([]);
    expect(violationsOf(sound)).toEqual([]);
  });
});

/** Stores a decode even if its VIN was removed after it began. */
class UndoingStore extends MemoryStore {
  override async put(query: VehicleQuery, decode: Decode): Promise<boolean> {
    return super.put(query, decode, await this.removalsOf(query.vin));
  }
}
