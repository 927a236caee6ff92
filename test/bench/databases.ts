/**
 * Compares cached Lookups over gRPC on PostgreSQL with those on SQLite, and large caches with small ones:
 * `node test/bench/databases.ts [--database NAME]... [--rows N]... [--rounds N] [--seconds N]`.
 *
 * --database: `sqlite` or `postgres`; default: both. --rows: vehicles in a cache. A cache of a million takes 3 GB on
 * disk. --rounds: number of interleaved runs. --seconds: duration of a run.
 *
 * 64 callers each wait for their answer, and look up random vehicles: first each equally often, which is the worst case
 * for a cache, then some far more often than others, as is usual. Load, service and PostgreSQL share the cores. So
 * the CPU time of a Lookup is printed beside the throughput, and the median time of a read from the store without the
 * RPC. If all files together do not fit into the free memory, the disk is measured. The bytes that were read from it are
 * printed: run large caches with one database at a time.
 */
import { join } from "node:path";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import type { VehicleStore } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { PostgresServer } from "../support/postgres.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { Load } from "./calls/load.ts";
import { median } from "./calls/median.ts";
import { vinAt } from "./calls/requests.ts";
import { Service } from "./calls/service.ts";
import { randomVehicle, type Spread } from "./calls/spread.ts";
import { createPostgresCache, createSqliteCache } from "./large-cache.ts";
import { childrenOf, cpuMsOf, diskBytesOf } from "./process-usage.ts";

const { values } = parseArgs({
  options: {
    database: { type: "string", multiple: true, default: ["sqlite", "postgres"] },
    rows: { type: "string", multiple: true, default: ["1000"] },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
  },
});
const seconds = Number(values.seconds);
const SHAPE = { connections: 4, callsEach: 16 };
const TARGETS = { postgres: 0.5, rows: 0.9 };
const SPREADS: readonly Spread[] = ["even", "zipfian"];

interface Measurement {
  readonly perSecond: number;
  /** Of the service, for a Lookup, in us. */
  readonly serviceUs: number;
  /** Of PostgreSQL's processes, for a Lookup, in us. */
  readonly serverUs: number;
  /** Read from disks by the service and PostgreSQL, for a Lookup, in bytes. */
  readonly diskBytes: number;
  /** The median time of a read from the store by a single caller in this process, in us. */
  readonly readUs: number;
}

interface Contender {
  readonly database: string;
  readonly rows: number;
  readonly service: Service;
  /** The same database, opened by this process. */
  readonly store: VehicleStore;
  readonly warmUp: () => Promise<void>;
  readonly measured: Readonly<Record<Spread, Measurement[]>>;
}

await using owned = new AsyncDisposableStack();
const { path } = owned.use(await temporaryDirectory());
const server = owned.use(await PostgresServer.start({ settings: ["shared_buffers=256MB", "max_wal_size=4GB"] }));
const load = owned.use(Load.start());

const contenders: Contender[] = [];
for (const rows of values.rows.map(Number)) {
  for (const database of values.database) {
    const startedAt = performance.now();
    const { databaseUrl, bytesPerRow, warmUp } =
      database === "sqlite"
        ? await createSqliteCache(join(path, `${rows}.db`), rows)
        : await createPostgresCache(server, rows);
    const tookS = ((performance.now() - startedAt) / 1_000).toFixed(0);
    console.log(`${database}, ${rows} rows: ${bytesPerRow.toFixed(0)} bytes a row, made in ${tookS} s`);
    const service = owned.use(await Service.start({ dataDir: join(path, "data"), databaseUrl }));
    await assertCached(service, rows);
    const store = owned.use(await openVehicleStore({ databaseUrl, logger: silentLogger, readTimeoutMs: 10_000 }));
    contenders.push({ database, rows, service, store, warmUp, measured: { even: [], zipfian: [] } });
  }
}

async function assertCached(service: Service, rows: number): Promise<void> {
  for (const vin of [vinAt(0), vinAt(rows - 1)]) {
    const { cached } = await service.client().lookup({ vin });
    if (!cached) {
      throw new Error("a generated vehicle is not in the cache");
    }
  }
}

/** The sum of a figure of PostgreSQL's processes. */
async function sumOfServer(figureOf: (pid: number) => Promise<number>): Promise<number> {
  const figures = await Promise.all((await childrenOf(server.pid ?? 0)).map(figureOf));
  return figures.reduce((sum, figure) => sum + figure, 0);
}

async function usageOf({ pid }: Service): Promise<{ serviceMs: number; serverMs: number; diskBytes: number }> {
  return {
    serviceMs: await cpuMsOf(pid),
    serverMs: await sumOfServer(cpuMsOf),
    diskBytes: (await diskBytesOf(pid)) + (await sumOfServer(diskBytesOf)),
  };
}

async function measure(contender: Contender, spread: Spread): Promise<Measurement> {
  const { service, rows } = contender;
  const readUs = await timeReads(contender, spread);
  const before = await usageOf(service);
  const { good, goodPerSecond, refused, lost } = await load.run({
    target: service.target("gRPC"),
    request: { vehicles: rows, spread },
    ...SHAPE,
    pace: { kind: "closed", seconds },
  });
  if (refused + lost > 0) {
    throw new Error(`${refused} Lookups were refused, and ${lost} were lost`);
  }
  const after = await usageOf(service);
  return {
    perSecond: goodPerSecond,
    serviceUs: (1_000 * (after.serviceMs - before.serviceMs)) / good.count,
    serverUs: (1_000 * (after.serverMs - before.serverMs)) / good.count,
    diskBytes: (after.diskBytes - before.diskBytes) / good.count,
    readUs,
  };
}

/** Other processes interrupt some reads, which a median does not show. */
async function timeReads({ store, rows }: Contender, spread: Spread): Promise<number> {
  const endsAt = performance.now() + (1_000 * seconds) / 3;
  const us: number[] = [];
  while (performance.now() < endsAt) {
    const query = { vin: parseVin(vinAt(randomVehicle(rows, spread))) };
    const startedAt = performance.now();
    await store.find(query, "basic");
    us.push(1_000 * (performance.now() - startedAt));
  }
  return median(us);
}

const loadBefore = loadavg()[0]?.toFixed(1);
for (const contender of contenders) {
  await contender.warmUp();
  await measure(contender, "even");
}
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const spread of SPREADS) {
    for (const contender of contenders) {
      contender.measured[spread].push(await measure(contender, spread));
    }
  }
}
for (const spread of SPREADS) {
  console.log(`\n${spread} spread`);
  for (const { database, rows, measured } of contenders) {
    const of = (figure: keyof Measurement): string => median(measured[spread].map((each) => each[figure])).toFixed(0);
    console.log(
      `${database}, ${rows} rows: ${of("perSecond")} Lookups/s, ${of("serviceUs")} us of the service's CPU and ` +
        `${of("serverUs")} us of PostgreSQL's a Lookup, ${of("diskBytes")} bytes from disks; a read from the store ` +
        `${of("readUs")} us`,
    );
  }
  for (const contender of contenders) {
    const others = contenders.filter((it) => it.database === contender.database || it.rows === contender.rows);
    const smaller = others.find(({ rows }) => rows < contender.rows);
    const onSqlite = others.find(({ database }) => database === "sqlite");
    if (smaller !== undefined) {
      report(spread, contender, smaller, TARGETS.rows);
    }
    if (onSqlite !== undefined && contender.database === "postgres") {
      report(spread, contender, onSqlite, TARGETS.postgres);
    }
  }
}
console.log(`load average ${loadBefore} before and ${loadavg()[0]?.toFixed(1)} after`);

/** Compares runs of the same round, because a busy machine slows both. */
function report(spread: Spread, contender: Contender, other: Contender, target: number): void {
  const ratioOf = (of: (it: Measurement, beside: Measurement) => number): string =>
    median(
      contender.measured[spread].flatMap((it, round) => {
        const beside = other.measured[spread][round];
        return beside === undefined ? [] : [of(it, beside)];
      }),
    ).toFixed(2);
  const throughput = ratioOf((it, beside) => it.perSecond / beside.perSecond);
  const cpu = ratioOf((it, beside) => beside.serviceUs / it.serviceUs);
  console.log(
    `${contender.database} with ${contender.rows} rows has ${throughput} of the Lookups/s of ${other.database} with ` +
      `${other.rows} (target ${target}); ${cpu} by the service's CPU time`,
  );
}
