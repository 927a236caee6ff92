/**
 * Compares the cache on SQLite with bare prepared statements on the same file, and with the cache on PostgreSQL:
 * `node test/bench/cache.ts [rows]`. Figures are microseconds of wall-clock time and, in parentheses, of the process's
 * CPU time, which a busy machine affects less.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Database from "better-sqlite3";

import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import type { VehicleQuery, VehicleStore, View } from "../../src/vehicle/vehicle.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import { PostgresServer } from "../support/postgres.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { ATTRIBUTES, truckOf } from "./truck-of.ts";

const ROWS = Number(process.argv[2] ?? 20_000);
const WARM_UP = 2_000;
const RUNS = 20_000;
/** The number of decodes that a batch runs at once. */
const PUTS_AT_ONCE = 500;
const VIN_CHARACTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789";

/** Scattered like real VINs, and the same in every run. */
function scatteredVins(count: number): Vin[] {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 8;
  };
  return Array.from({ length: count }, () =>
    parseVin(Array.from({ length: 17 }, () => VIN_CHARACTERS[next() % VIN_CHARACTERS.length]).join("")),
  );
}

/** In microseconds per run. */
interface Cost {
  readonly wall: number;
  readonly cpu: number;
}

/** `work` also waits for what the runs leave for the next turns of the event loop. */
async function costOf(runs: number, work: (index: number) => unknown): Promise<Cost> {
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  for (let index = 0; index < runs; index++) {
    await work(index);
  }
  const wall = ((performance.now() - start) / runs) * 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { wall, cpu: (user + system) / runs };
}

function dividedBy({ wall, cpu }: Cost, rows: number): Cost {
  return { wall: wall / rows, cpu: cpu / rows };
}

function report(name: string, cost: Cost, bare?: Cost): void {
  const toText = ({ wall, cpu }: Cost) => `${wall.toFixed(1).padStart(8)} us (${cpu.toFixed(1)})`;
  const ratio = bare === undefined ? "" : `   bare ${toText(bare)}   x${(cost.cpu / bare.cpu).toFixed(1)}`;
  console.log(`${name.padEnd(34)}${toText(cost)}${ratio}`);
}

const directory = await mkdtemp(join(tmpdir(), "vehicle-bench-"));
const path = join(directory, "vehicles.db");
const store = await openVehicleStore({ databaseUrl: `sqlite:${path}`, logger: silentLogger });
const bare = new Database(path);
const vins = scatteredVins(ROWS);
const queryAt = (index: number): VehicleQuery => ({ vin: vins[(index * 7_919) % vins.length] ?? decoyVin });
const decoyVin = parseVin("1XPWD40X1ED215307");

console.log(`${ROWS} rows, Node ${process.version}`);

const removals = await store.removalsOf(decoyVin);
const put = (index: number): Promise<boolean> => {
  const vin = vins[index] ?? decoyVin;
  return store.put({ vin }, truckOf(vin), removals);
};
const half = Math.floor(ROWS / 2);
const putMany = await costOf(Math.floor(half / PUTS_AT_ONCE), (run) =>
  Promise.all(Array.from({ length: PUTS_AT_ONCE }, (_, index) => put(half + run * PUTS_AT_ONCE + index))),
);
const quarter = Math.floor(half / 2);
await costOf(quarter, put);
const putAlone = await costOf(quarter, (index) => put(quarter + index));
const bareFile = new Database(join(directory, "bare.db"));
bareFile.pragma("journal_mode = WAL");
bareFile.pragma("synchronous = NORMAL");
bareFile.exec(bare.prepare<[], string>("select sql from sqlite_schema where name = 'vehicles'").pluck().get() ?? "");
const columns = ["vin", "model_year_hint", "make", "model", "model_year", "body_class", "source", "is_negative"];
columns.push("decoded_at", "verdict_codes", "verdict_text", "suggested_vin", "possible_values", "additional_text");
columns.push("attributes");
const bareInsert = bareFile.prepare(
  `insert into vehicles (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`,
);
const json = JSON.stringify(ATTRIBUTES);
const barePut = await costOf(ROWS, (index) => {
  const cells = ["FORD", "F-150", "2021", "Pickup", "vpic", 0, 1_780_000_000_000, "0", truckOf(decoyVin).verdict.text];
  bareInsert.run(vins[index], 0, ...cells, "", "", "", json);
});
bareFile.close();
report("put, alone", putAlone, barePut);
report(`put, ${PUTS_AT_ONCE} at once`, dividedBy(putMany, PUTS_AT_ONCE), barePut);
for (let index = 0; index < ROWS; index += PUTS_AT_ONCE) {
  await Promise.all(Array.from({ length: PUTS_AT_ONCE }, (_, offset) => put(index + offset)));
}

for (const view of ["basic", "full"] satisfies View[]) {
  const last = view === "full" ? "attributes" : "additional_text";
  const names = bare.prepare<[], string>("select name from pragma_table_info('vehicles')").pluck().all();
  const selected = names.slice(0, names.indexOf(last) + 1).join(", ");
  const bareFind = bare.prepare(`select ${selected} from vehicles where vin = ? and model_year_hint = ?`).raw(true);
  await costOf(WARM_UP, (index) => store.find(queryAt(index), view));
  await costOf(WARM_UP, (index) => bareFind.get(queryAt(index).vin, 0));
  const cost = await costOf(RUNS, (index) => store.find(queryAt(index), view));
  const bareCost = await costOf(RUNS, (index) => bareFind.get(queryAt(index).vin, 0));
  report(`find, ${view}`, cost, bareCost);
  for (const count of [64, 5_000]) {
    const runs = Math.ceil(RUNS / count);
    const batches = Array.from({ length: runs }, (_, run) =>
      Array.from({ length: count }, (_, index) => queryAt(run * count + index)),
    );
    const batch = await costOf(runs, (run) => store.findMany(batches[run] ?? [], view));
    report(`findMany of ${count}, ${view}, a row`, dividedBy(batch, count), bareCost);
  }
}

await costOf(WARM_UP, (index) => store.removalsOf(queryAt(index).vin));
report("removalsOf", await costOf(RUNS, (index) => store.removalsOf(queryAt(index).vin)));

// On PostgreSQL, with as many rows, beside SQLite in turns: callers that each wait for their answer.
await using server = await PostgresServer.start();
await using shared = await openVehicleStore({
  databaseUrl: await server.createDatabase("bench"),
  logger: silentLogger,
  readTimeoutMs: 10_000,
});
const sharedRemovals = await shared.removalsOf(decoyVin);
for (let index = 0; index < ROWS; index += PUTS_AT_ONCE) {
  await Promise.all(
    vins.slice(index, index + PUTS_AT_ONCE).map((vin) => shared.put({ vin }, truckOf(vin), sharedRemovals)),
  );
}
async function findsPerSecond(of: VehicleStore, callers: number): Promise<number> {
  let next = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (next < RUNS) {
        await of.find(queryAt(next++), "basic");
      }
    }),
  );
  return (RUNS / (performance.now() - start)) * 1_000;
}
for (const callers of [1, 64]) {
  const rates = { sqlite: [] as number[], postgres: [] as number[] };
  for (let round = 0; round < 5; round++) {
    rates.sqlite.push(await findsPerSecond(store, callers));
    rates.postgres.push(await findsPerSecond(shared, callers));
  }
  const [sqlite = 0, postgres = 0] = [rates.sqlite, rates.postgres].map((each) => each.toSorted((a, b) => a - b)[2]);
  const ratio = (postgres / sqlite).toFixed(2);
  console.log(
    `find, ${callers} callers: SQLite ${sqlite.toFixed(0)}/s, PostgreSQL ${postgres.toFixed(0)}/s, x${ratio}`,
  );
}

bare.pragma("wal_checkpoint(TRUNCATE)");
const { size } = await stat(path);
console.log(`${"file, a row".padEnd(34)}${(size / ROWS).toFixed(0).padStart(9)} bytes`);

const removed = Math.min(500, ROWS);
const vinsToRemove = vins.slice(-PUTS_AT_ONCE);
report(
  `remove, ${PUTS_AT_ONCE} at once`,
  dividedBy(await costOf(1, () => Promise.all(vinsToRemove.map((vin) => store.remove(vin)))), PUTS_AT_ONCE),
);
report("remove, alone (to the disk)", await costOf(removed, (index) => store.remove(queryAt(index).vin)));

bare.close();
await store[Symbol.asyncDispose]();
await rm(directory, { recursive: true });
