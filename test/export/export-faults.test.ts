import { open, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isPostgresLost, isSqliteLost } from "../../src/cache/database-errors.ts";
import type { DatabaseLocation } from "../../src/cache/database-url.ts";
import { VehicleExports } from "../../src/export/vehicle-exports.ts";
import { StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { eventually } from "../support/eventually.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TestApp, TestAppOptions } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { noAbort } from "./open-exports.ts";
import { queryParquet } from "./read-parquet.ts";
import { VehicleTable } from "./vehicle-table.ts";

const VIN = "1XPWD40X1ED215307";

let stack: AsyncDisposableStack;
let directory: string;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  ({ path: directory } = stack.use(await temporaryDirectory()));
});
afterEach(() => stack.disposeAsync());

async function start(options: TestAppOptions = {}): Promise<TestApp> {
  return stack.use(await startTestApp({ ...options, env: { DATA_DIR: directory, ...options.env } }));
}

/** Writes this many rows into the cache of a running service, without its store. */
async function fill(rows: number): Promise<void> {
  await using table = new VehicleTable(directory);
  table.put(
    Array.from({ length: rows }, (_, index) => ({
      vin: `1XPWD40X${String(index).padStart(9, "0")}`,
      attributes: { Note: "x".repeat(500) },
    })),
  );
  table.database.pragma("wal_checkpoint(TRUNCATE)");
}

/** Overwrites the beginning of a page in the middle of the table, which no Lookup of this test reads. */
async function damageTable(): Promise<void> {
  await using table = new VehicleTable(directory);
  const pages = table.database
    .prepare<[], number>("select pageno from dbstat where name = 'vehicles' and pagetype = 'leaf' order by path")
    .pluck()
    .all();
  const page = pages[Math.floor(pages.length / 2)] ?? 0;
  const pageBytes = Number(table.database.pragma("page_size", { simple: true }));
  await using file = await open(join(directory, "vehicles.db"), "r+");
  await file.write(Buffer.alloc(100, 0xff), 0, 100, (page - 1) * pageBytes);
}

function get(app: TestApp): Promise<Response> {
  return fetch(`http://${app.httpAddress}/export.parquet`);
}

async function lookUp(app: TestApp): Promise<number> {
  const response = await fetch(`http://${app.httpAddress}/vehicle.v1.VehicleService/Lookup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ vin: VIN }),
  });
  return response.status;
}

async function countRows(response: Response): Promise<unknown> {
  const [row] = await queryParquet(await response.bytes(), "select count(*)::int as count from $file");
  return row?.["count"];
}

test("a damaged database is renamed when an export finds the damage, and the next export reads a new one", async () => {
  const app = await start();
  await fill(1_000);
  await damageTable();

  const first = await get(app);

  expect([first.status, await first.text()]).toEqual([503, "the cache is unavailable; repeat the call later\n"]);
  await eventually(async () => {
    const next = await get(app);
    expect(next.status).toBe(200);
    expect(await countRows(next)).toBe(0);
  });
  expect(await readdir(directory)).toContainEqual(expect.stringMatching(/^vehicles\.db\.corrupt-/));
  expect(app.logger.lines).toContainEqual(
    expect.objectContaining({ message: "the cache cannot be read for an export" }),
  );
});

describe("a fault of the database is reported with its code:", () => {
  async function exportFrom(location: DatabaseLocation): Promise<unknown[]> {
    const faults: unknown[] = [];
    const exports = stack.use(
      await VehicleExports.start({
        location,
        directory,
        service: "vehicle-service",
        version: "1.2.3",
        logger: silentLogger,
        keepFreeBytes: 0,
        faultReporter: () => (fault) => faults.push(fault),
      }),
    );
    await expect(exports.create("client", noAbort())).rejects.toBeInstanceOf(StoreUnavailableError);
    return faults;
  }

  test("SQLite finds a damaged header", async () => {
    await writeFile(join(directory, "vehicles.db"), Buffer.alloc(4_096, 0xff));

    const faults = await exportFrom({ kind: "sqlite", path: join(directory, "vehicles.db") });

    expect(faults).toEqual([expect.objectContaining({ code: "SQLITE_NOTADB" })]);
    expect(faults.map(isSqliteLost)).toEqual([true]);
  });

  test("SQLite finds no table", async () => {
    await writeFile(join(directory, "vehicles.db"), "");

    const faults = await exportFrom({ kind: "sqlite", path: join(directory, "vehicles.db") });

    expect(faults.map(isSqliteLost)).toEqual([true]);
  });

  test("PostgreSQL finds no table", async () => {
    const url = await createSharedDatabase("export_faults");

    const faults = await exportFrom({ kind: "postgres", url });

    expect(faults).toEqual([expect.objectContaining({ code: "42P01" })]);
    expect(faults.map(isPostgresLost)).toEqual([true]);
  });
});

describe("an exports directory that cannot be created", () => {
  test("does not prevent the service from starting", async () => {
    await writeFile(join(directory, "exports"), "a file");

    const app = await start();

    expect(await lookUp(app)).toBe(200);
    expect(app.logger.lines).toContainEqual(
      expect.objectContaining({ level: "warn", message: "cannot prepare the directory for exports" }),
    );
  });

  test("fails exports until it can be created", async () => {
    await writeFile(join(directory, "exports"), "a file");
    const app = await start();
    const before = await get(app);

    await rm(join(directory, "exports"));
    const after = await get(app);

    expect([before.status, after.status]).toEqual([500, 200]);
  });
});

test("a kept file does not age when the system's clock is set", async () => {
  const clock = { now: Date.now() };
  const app = await start({ now: () => clock.now });
  const url = `http://${app.httpAddress}/export.parquet`;
  const before = await fetch(url, { method: "HEAD" });

  clock.now += 86_400_000;
  const after = await fetch(url, { method: "HEAD" });

  expect(after.headers.get("etag")).toBe(before.headers.get("etag"));
});
