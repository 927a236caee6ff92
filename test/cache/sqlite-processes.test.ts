import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import { silentLogger } from "../support/silent-logger.ts";

const REMOVING_PROCESS = new URL("../support/removing-process.ts", import.meta.url).pathname;
const VINS_EACH = 5_000;

let directory: string;
let path: string;
let databaseUrl: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "vehicle-processes-"));
  path = join(directory, "vehicles.db");
  databaseUrl = `sqlite:${path}`;
});

afterEach(() => rm(directory, { recursive: true }));

/** Starts a process that puts and removes its own VINs, and ends it by kill -9 after this many removals. */
async function removeUntilKilled(number: number, removals: number): Promise<Vin[]> {
  const firstVin = String(number * VINS_EACH);
  const child: ChildProcess = spawn(process.execPath, [REMOVING_PROCESS, databaseUrl, firstVin], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const acknowledged: Vin[] = [];
  if (child.stdout !== null) {
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(parseVin(line));
      if (acknowledged.length === removals) {
        child.kill("SIGKILL");
      }
    }
  }
  await exited;
  return acknowledged;
}

async function expectAllGone(vins: readonly Vin[]): Promise<void> {
  await using vehicles = await openVehicleStore({ databaseUrl, logger: silentLogger });
  const found = await vehicles.findMany(
    vins.map((vin) => ({ vin })),
    "full",
  );
  expect(found.filter((vehicle) => vehicle !== undefined)).toEqual([]);
  const file = new Database(path, { readonly: true });
  expect(file.pragma("integrity_check")).toEqual([{ integrity_check: "ok" }]);
  file.close();
}

describe("processes that share a SQLite file", () => {
  test("leave an intact file without the removed entries after kill -9", async () => {
    const acknowledged: Vin[] = [];

    for (const [number, removals] of [1, 17, 60].entries()) {
      acknowledged.push(...(await removeUntilKilled(number, removals)));
    }

    expect(acknowledged.length).toBeGreaterThanOrEqual(78);
    await expectAllGone(acknowledged);
  });

  test("may all start at once when there is no file yet", async () => {
    const acknowledged = await Promise.all([0, 1, 2].map((number) => removeUntilKilled(number, 5)));

    for (const vins of acknowledged) {
      expect(vins.length).toBeGreaterThanOrEqual(5);
    }
    await expectAllGone(acknowledged.flat());
  });
});
