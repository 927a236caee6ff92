/**
 * Compares an export, over gRPC from a service in a process of its own, with a bare program that does nothing else:
 *
 *   node test/bench/export.ts [--rows 100000]... [--distinct] [--rewrites 50000] [--rounds 1] [--checkout DIRECTORY]
 *
 * --distinct: no two vehicles share their attributes. --rewrites: number of rows rewritten during one more export.
 * --checkout: another version of the service, whose exports alternate with those of this one.
 */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Client } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { WalBudget } from "../../src/cache/wal-budget.ts";
import { noAbort, openExports } from "../export/open-exports.ts";
import { VehicleTable } from "../export/vehicle-table.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { benchRows, benchVin } from "./export-rows.ts";
import { cpuMsOf, rssMbOf } from "./process-usage.ts";
import { readChangedVins } from "./read-changed-vins.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", multiple: true, default: ["100000"] },
    distinct: { type: "boolean", default: false },
    rewrites: { type: "string", default: "50000" },
    rounds: { type: "string", default: "1" },
    checkout: { type: "string" },
  },
});

const MEBIBYTE = 1_048_576;
/** How long Lookups are measured before the export. */
const UNDISTURBED_MS = 3_000;

for (const rows of values.rows.map(Number)) {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory());
  const services = [{ name: "export", service: stack.use(await startService(path)) }];
  const table = stack.use(new VehicleTable(path));
  table.put(benchRows(rows, values.distinct));
  table.database.pragma("wal_checkpoint(TRUNCATE)");
  const { size } = await stat(join(path, "vehicles.db"));
  console.log(`\n${rows} rows, database ${(size / MEBIBYTE).toFixed(0)} MiB`);
  if (values.checkout !== undefined) {
    services.push({ name: "other version", service: stack.use(await startService(path, values.checkout)) });
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    const bare = runBare(table);
    report("bare program", `${bare.rowsPerSecond.toFixed(0)} rows/s`);
    for (const { name, service } of services) {
      await measure(name, service, rows, bare.rowsPerSecond);
    }
  }
  await rewrite(table, rows, Number(values.rewrites));
}

function startService(directory: string, checkout?: string): Promise<ServiceProcess> {
  return ServiceProcess.start(
    {
      DATA_DIR: directory,
      SOURCES: "vpic",
      // All requested vehicles are cached.
      VPIC_URL: "http://127.0.0.1:1",
      RATE_LIMIT_PER_SECOND: "1000000",
      RATE_LIMIT_BURST: "1000000",
    },
    checkout,
  );
}

/** Exports once, while cached vehicles are looked up. */
async function measure(name: string, service: ServiceProcess, rows: number, bareRowsPerSecond: number): Promise<void> {
  const client = createClient(VehicleService, createGrpcTransport({ baseUrl: `http://${service.grpcAddress}` }));
  const undisturbedMs = await probe(client, rows, setTimeout(UNDISTURBED_MS));
  const [rssBefore, cpuBefore] = [await rssMbOf(service.pid), await cpuMsOf(service.pid)];
  let rssPeak = rssBefore;
  const sampler = setInterval(() => {
    void rssMbOf(service.pid).then((rss) => (rssPeak = Math.max(rssPeak, rss)));
  }, 20);
  const startedAt = performance.now();
  const exporting = download(client);
  const duringMs = await probe(client, rows, exporting);
  const { rowCount, sizeBytes, writtenAt, endedAt } = await exporting;
  clearInterval(sampler);
  const seconds = (endedAt - startedAt) / 1_000;
  const cpuSeconds = ((await cpuMsOf(service.pid)) - cpuBefore) / 1_000;
  const rowsPerSecond = rowCount / seconds;
  report(name, `${rowsPerSecond.toFixed(0)} rows/s, ${(sizeBytes / MEBIBYTE).toFixed(1)} MiB`);
  report("  of which written in", `${((writtenAt - startedAt) / 1_000).toFixed(2)} s of ${seconds.toFixed(2)} s`);
  report("  CPU time of the service", `${cpuSeconds.toFixed(2)} s`);
  report("  bare program, ratio (at least 0.7)", (rowsPerSecond / bareRowsPerSecond).toFixed(2));
  report("  memory growth (under 200 MB)", `${(rssPeak - rssBefore).toFixed(0)} MB`);
  report(
    "  cached Lookup, p99 (under 3 times)",
    `${undisturbedMs.toFixed(2)} ms, during ${duringMs.toFixed(2)} ms, ${(duringMs / undisturbedMs).toFixed(2)} times`,
  );
}

interface Download {
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** When the metadata arrived, on the monotonic clock. */
  readonly writtenAt: number;
  readonly endedAt: number;
}

async function download(client: Client<typeof VehicleService>): Promise<Download> {
  let rowCount = 0;
  let sizeBytes = 0;
  let writtenAt = Number.NaN;
  for await (const { part } of client.export({}, { timeoutMs: 600_000 })) {
    if (part.case === "metadata") {
      rowCount = Number(part.value.rowCount);
      writtenAt = performance.now();
    } else if (part.case === "data") {
      sizeBytes += part.value.length;
    }
  }
  return { rowCount, sizeBytes, writtenAt, endedAt: performance.now() };
}

/** Exports once, while rows are rewritten in VIN order, one transaction each. */
async function rewrite(table: VehicleTable, rows: number, rewrites: number): Promise<void> {
  await using exports = await openExports(table);
  table.database.pragma("busy_timeout = 50");
  const budget = new WalBudget(table.database, () => statSync(`${table.database.name}-wal`).size, {
    timeoutMs: 120_000,
  });
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

/** The p99 of cached Lookups, in ms, until something is done. One at a time, with a pause of 1 ms. */
async function probe(client: Client<typeof VehicleService>, rows: number, until: Promise<unknown>): Promise<number> {
  const timesMs: number[] = [];
  const pending = isPending(until);
  for (let index = 0; pending(); index++) {
    const startedAt = performance.now();
    const { cached } = await client.lookup({ vin: benchVin((index * 7_919) % rows) });
    if (!cached) {
      throw new Error("a Lookup was not answered from the cache");
    }
    timesMs.push(performance.now() - startedAt);
    await setTimeout(1);
  }
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
