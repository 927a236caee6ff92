import { spawnSync } from "node:child_process";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setImmediate, setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";

import Database from "better-sqlite3";

import { WalBudget } from "../../src/cache/wal-budget.ts";
import type { VehicleExports } from "../../src/export/vehicle-exports.ts";
import { noAbort, openExports } from "../export/open-exports.ts";
import { VehicleTable } from "../export/vehicle-table.ts";
import { benchRows, benchVin } from "./export-rows.ts";
import { readChangedVins } from "./read-changed-vins.ts";

// What an export costs, beside a bare program that does nothing else.
//
//   node test/bench/export.ts [--rows 100000]... [--distinct] [--rewrites 50000]
//
// --distinct: no two vehicles share their attributes. --rewrites: how many rows are rewritten during one more export.

const { values } = parseArgs({
  options: {
    rows: { type: "string", multiple: true, default: ["100000"] },
    distinct: { type: "boolean", default: false },
    rewrites: { type: "string", default: "50000" },
  },
});

const MEBIBYTE = 1_048_576;

for (const rows of values.rows.map(Number)) {
  await using table = await VehicleTable.create();
  table.put(benchRows(rows, values.distinct));
  table.database.pragma("wal_checkpoint(TRUNCATE)");
  table.database.pragma("busy_timeout = 50");
  table.database.pragma("journal_size_limit = 67108864");
  const { size } = await stat(join(table.directory, "vehicles.db"));
  console.log(`\n${rows} rows, database ${(size / MEBIBYTE).toFixed(0)} MiB`);
  const undisturbed = await probe(table, rows, setTimeout(3_000));
  const bare = runBare(table);
  await using exports = await openExports(table);
  await measure(table, exports, rows, bare.rowsPerSecond, undisturbed);
  await rewrite(table, exports, rows, Number(values.rewrites));
}

/** Exports once, with cached reads meanwhile. */
async function measure(
  table: VehicleTable,
  exports: VehicleExports,
  rows: number,
  bareRowsPerSecond: number,
  undisturbedMs: number,
): Promise<void> {
  const rssBefore = process.memoryUsage.rss();
  let rssPeak = rssBefore;
  const sampler = setInterval(() => {
    rssPeak = Math.max(rssPeak, process.memoryUsage.rss());
  }, 20);
  const startedAt = performance.now();
  const creating = exports.create("bench", noAbort());
  const duringMs = await probe(table, rows, creating);
  await using file = await creating;
  const rowsPerSecond = file.rowCount / ((performance.now() - startedAt) / 1_000);
  const chunks = file.chunks();
  while ((await chunks.next()).done !== true) {
    rssPeak = Math.max(rssPeak, process.memoryUsage.rss());
  }
  clearInterval(sampler);
  report("export", `${rowsPerSecond.toFixed(0)} rows/s, ${(file.sizeBytes / MEBIBYTE).toFixed(1)} MiB`);
  report("bare program", `${bareRowsPerSecond.toFixed(0)} rows/s`);
  report("ratio (at least 0.7)", (rowsPerSecond / bareRowsPerSecond).toFixed(2));
  report("memory growth (under 200 MiB)", `${((rssPeak - rssBefore) / MEBIBYTE).toFixed(0)} MiB`);
  report("cached read, p99 undisturbed", `${undisturbedMs.toFixed(3)} ms`);
  report(
    "cached read, p99 during (under 3 times)",
    `${duringMs.toFixed(3)} ms, ${(duringMs / undisturbedMs).toFixed(2)} times`,
  );
}

/** Exports once, while rows are rewritten one transaction each, in VIN order. */
async function rewrite(table: VehicleTable, exports: VehicleExports, rows: number, rewrites: number): Promise<void> {
  const budget = new WalBudget(table.database, { patienceMs: 120_000 });
  const update = table.database.prepare("update vehicles set make = 'CHANGED', decoded_at = ? where vin = ?");
  const startedAt = performance.now();
  let logPeak = 0;
  let slowestMs = 0;
  let whileExporting = 0;
  const creating = exports.create("bench", noAbort());
  const exporting = isPending(creating);
  for (let index = 0; index < rewrites; index++) {
    const askedAt = performance.now();
    await budget.waitForRoom();
    update.run(Date.now(), benchVin(index % rows));
    slowestMs = Math.max(slowestMs, performance.now() - askedAt);
    whileExporting += exporting() ? 1 : 0;
    if (index % 16 === 0) {
      logPeak = Math.max(logPeak, await logBytes(table));
      await setImmediate();
    }
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  await using file = await creating;
  const changed = await readChangedVins(file);
  const isOneMoment = changed.every((vin, index) => vin === benchVin(index)) && file.rowCount === rows;
  report("rewrites", `${rewrites} in ${seconds.toFixed(1)} s, ${whileExporting} of them during the export`);
  report("write-ahead log (under 64 MiB)", `${(logPeak / MEBIBYTE).toFixed(1)} MiB`);
  report("longest wait of a rewrite", `${slowestMs.toFixed(0)} ms`);
  report("the export shows one moment", isOneMoment ? `yes, after ${changed.length} rewrites` : "NO");
}

/** The p99 of cached reads, in ms, until something is done. One every ms or so, each after a turn of the event loop. */
async function probe(table: VehicleTable, rows: number, until: Promise<unknown>): Promise<number> {
  const database = new Database(join(table.directory, "vehicles.db"));
  const find = database.prepare("select * from vehicles where vin = ? and model_year_hint = 0").raw(true);
  const timesMs: number[] = [];
  const pending = isPending(until);
  for (let index = 0; pending(); index++) {
    const startedAt = performance.now();
    await setImmediate();
    find.get(benchVin((index * 7_919) % rows));
    timesMs.push(performance.now() - startedAt);
    await setTimeout(1);
  }
  database.close();
  timesMs.sort((a, b) => a - b);
  return timesMs[Math.floor(timesMs.length * 0.99)] ?? Number.NaN;
}

function isPending(promise: Promise<unknown>): () => boolean {
  let isSettled = false;
  const settle = () => {
    isSettled = true;
  };
  void promise.then(settle, settle);
  return () => !isSettled;
}

function runBare(table: VehicleTable): { readonly rowsPerSecond: number } {
  const script = join(import.meta.dirname, "export-bare.ts");
  const paths = ["vehicles.db", "bare.parquet"].map((name) => join(table.directory, name));
  const { stdout } = spawnSync(process.execPath, [script, ...paths], { encoding: "utf8" });
  return JSON.parse(stdout);
}

async function logBytes(table: VehicleTable): Promise<number> {
  return (await stat(join(table.directory, "vehicles.db-wal"))).size;
}

function report(what: string, figure: string): void {
  console.log(`  ${what.padEnd(42)}${figure}`);
}
