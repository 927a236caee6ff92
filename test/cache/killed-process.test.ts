import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import Database from "better-sqlite3";
import { expect, test } from "vitest";

import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { silentLogger } from "../support/silent-logger.ts";

const REMOVING_PROCESS = new URL("../support/removing-process.ts", import.meta.url).pathname;

test("an acknowledged removal survives the end of the process by kill -9, and the file stays sound", async () => {
  const directory = await mkdtemp(join(tmpdir(), "vehicle-kill-"));
  const path = join(directory, "vehicles.db");
  const databaseUrl = `sqlite:${path}`;
  const acknowledged: string[] = [];

  for (const [index, removals] of [1, 17, 60].entries()) {
    const firstVin = String(index * 5_000);
    const child = spawn(process.execPath, [REMOVING_PROCESS, databaseUrl, firstVin], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    let count = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(line);
      if (++count === removals) {
        child.kill("SIGKILL");
      }
    }
    await exited;
  }

  await using vehicles = await openVehicleStore({ databaseUrl, logger: silentLogger });
  const found = await vehicles.findMany(
    acknowledged.map((vin) => ({ vin: parseVin(vin) })),
    "full",
  );
  expect(acknowledged.length).toBeGreaterThanOrEqual(78);
  expect(found.filter((vehicle) => vehicle !== undefined)).toEqual([]);
  const file = new Database(path, { readonly: true });
  expect(file.pragma("integrity_check")).toEqual([{ integrity_check: "ok" }]);
  file.close();
  await rm(directory, { recursive: true });
});
