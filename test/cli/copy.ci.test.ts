import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openVehicleStore, type OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { eventually } from "../support/eventually.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const VINS = someVins(3_000);
/** How many rows are copied before each kill: whole batches of 500. */
const COPIED_ROWS = [1_000, 2_000];

const FROM_SLEEPERS = "from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";

/**
 * Statements that make the insert of a VIN last for ever, and those that undo this. With PostgreSQL, the insert must have
 * begun before it can be undone.
 */
const OBSTACLES = {
  sqlite: {
    add: (vin: string) => [
      "create view endless as with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) from n",
      `create trigger obstacle before insert on vehicles when new.vin = '${vin}' begin select * from endless; end`,
    ],
    inserts: "select 1",
    remove: ["drop trigger obstacle", "drop view endless"],
  },
  postgres: {
    add: (vin: string) => [
      `create function sleep() returns trigger language plpgsql as
      'begin perform pg_sleep(100000); return new; end'`,
      `create trigger obstacle before insert on vehicles for each row when (new.vin = '${vin}') execute function sleep()`,
    ],
    inserts: `select count(*) ${FROM_SLEEPERS}`,
    remove: [
      // It has not noticed that its client was killed.
      `select pg_terminate_backend(pid) ${FROM_SLEEPERS}`,
      "drop function sleep cascade",
    ],
  },
} as const;

let stack: AsyncDisposableStack;
let directory: string;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  directory = stack.use(await temporaryDirectory()).path;
});

afterEach(() => stack.disposeAsync());

test.each(["sqlite", "postgres"] as const)(
  "npm run copy to %s makes an exact copy after it was killed twice in the middle",
  async (kind) => {
    const urls = [`sqlite:${join(directory, "vehicles.db")}`, await createSharedDatabase(`copy_to_${kind}`)] as const;
    const [fromUrl, toUrl] = kind === "sqlite" ? urls.toReversed() : urls;
    const [source, target] = [await open(fromUrl), await open(toUrl)];
    await fill(source);

    for (const rows of COPIED_ROWS) {
      await run(target, OBSTACLES[kind].add(VINS[rows + 250] ?? ""));
      const killed = spawnCopy(fromUrl, toUrl);
      await eventually(async () => {
        const [[count] = []] = await run(target, ["select count(*) from vehicles"]);
        const [[inserts] = []] = await run(target, [OBSTACLES[kind].inserts]);
        expect([Number(count), Number(inserts)]).toEqual([rows, 1]);
      });
      kill(killed);
      await once(killed, "close");
      await run(target, OBSTACLES[kind].remove);
    }
    const copy = spawnCopy(fromUrl, toUrl);
    const [printed, [exitCode]] = await Promise.all([text(copy.stdout), once(copy, "close")]);

    expect(printed).toMatch(/^3,000 vehicles, 2 removals, SHA-256 [0-9a-f]{64}\n$/);
    expect(exitCode).toBe(0);
    expect(await contentOf(target)).toEqual(await contentOf(source));
  },
);

async function open(databaseUrl: string): Promise<OpenVehicleStore> {
  return stack.use(
    await openVehicleStore({ databaseUrl, logger: silentLogger, now: () => NOON, readTimeoutMs: 10_000 }),
  );
}

/** A cache with 3,000 vehicles, one of them with a year and one removed, and the record of the removal. */
async function fill(vehicles: OpenVehicleStore): Promise<void> {
  const [first, ...others] = VINS;
  const removed = others.pop();
  if (first !== undefined && removed !== undefined) {
    await store(vehicles, { vin: removed }, decodeOf(removed));
    await vehicles.remove(removed);
    await store(vehicles, { vin: first, modelYear: 1999 }, decodeOf(first, { model: "línea" }));
    await store(vehicles, { vin: first }, decodeOf(first, { source: "snapshot", dataDate: "2026-02-17" }));
    await Promise.all(others.map((vin) => store(vehicles, { vin }, decodeOf(vin))));
  }
}

type Command = ChildProcessByStdio<null, Readable, null>;

/** Runs the command in a process group of its own. */
function spawnCopy(from: string, to: string): Command {
  const command = spawn("npm", ["run", "--silent", "copy", "--", from, to], {
    cwd: ROOT,
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return stack.adopt(command, kill);
}

/** Ends npm and all that it has started. */
function kill({ pid = NaN, exitCode, signalCode }: Command): void {
  if (exitCode === null && signalCode === null) {
    process.kill(-pid, "SIGKILL");
  }
}

/** Runs statements, and returns the rows of the last one. */
async function run(database: OpenVehicleStore, statements: readonly string[]): Promise<unknown[][]> {
  let rows: unknown[][] = [];
  for (const statement of statements) {
    rows = await database.coordinate({ sqlite: statement, postgres: statement }, []);
  }
  return rows;
}

/** Every value as text, because PostgreSQL gives big integers so. */
async function contentOf(database: OpenVehicleStore): Promise<string[]> {
  const tables = ["vehicles", "vehicle_removals"].map((table) => run(database, [`select * from ${table}`]));
  return (await Promise.all(tables))
    .flat()
    .map((row) => row.map(String).join("|"))
    .toSorted();
}
