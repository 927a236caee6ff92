/**
 * Compares cached Lookups over gRPC on PostgreSQL with those on SQLite, and large caches with small ones:
 * `node test/bench/databases.ts [--database NAME]... [--rows N]... [--rounds N] [--seconds N]`.
 *
 * --database: `sqlite` or `postgres`; default: both. --rows: vehicles in a cache. A cache of a million takes 3 GB on
 * disk. --rounds: number of interleaved runs. --seconds: duration of a run.
 *
 * 64 callers each wait for their answer, and look up random vehicles. Load, service and PostgreSQL share the cores. So
 * the CPU time of a Lookup is printed beside the throughput.
 */
import { join } from "node:path";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { PostgresServer } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { Load } from "./calls/load.ts";
import { median } from "./calls/median.ts";
import { vinAt } from "./calls/requests.ts";
import { Service } from "./calls/service.ts";
import { createPostgresCache, createSqliteCache } from "./large-cache.ts";
import { childrenOf, cpuMsOf } from "./process-usage.ts";

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

interface Measurement {
  readonly perSecond: number;
  /** Of the service, for a Lookup, in us. */
  readonly serviceUs: number;
  /** Of PostgreSQL's processes, for a Lookup, in us. */
  readonly serverUs: number;
}

interface Contender {
  readonly database: string;
  readonly rows: number;
  readonly service: Service;
  readonly warmUp: () => Promise<void>;
  readonly measured: Measurement[];
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
    contenders.push({ database, rows, service, warmUp, measured: [] });
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

async function cpuMsOfServer(): Promise<number> {
  const times = await Promise.all((await childrenOf(server.pid ?? 0)).map(cpuMsOf));
  return times.reduce((sum, ms) => sum + ms, 0);
}

async function measure({ service, rows }: Contender): Promise<Measurement> {
  const before = { service: await cpuMsOf(service.pid), server: await cpuMsOfServer() };
  const { good, goodPerSecond, refused, lost } = await load.run({
    target: service.target("gRPC"),
    request: { vehicles: rows },
    ...SHAPE,
    pace: { kind: "closed", seconds },
  });
  if (refused + lost > 0) {
    throw new Error(`${refused} Lookups were refused, and ${lost} were lost`);
  }
  return {
    perSecond: goodPerSecond,
    serviceUs: (1_000 * ((await cpuMsOf(service.pid)) - before.service)) / good.count,
    serverUs: (1_000 * ((await cpuMsOfServer()) - before.server)) / good.count,
  };
}

const loadBefore = loadavg()[0]?.toFixed(1);
for (const contender of contenders) {
  await contender.warmUp();
  await measure(contender);
}
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const contender of contenders) {
    contender.measured.push(await measure(contender));
  }
}
for (const { database, rows, measured } of contenders) {
  const of = (figure: keyof Measurement): string => median(measured.map((each) => each[figure])).toFixed(0);
  console.log(
    `${database}, ${rows} rows: ${of("perSecond")} Lookups/s, ${of("serviceUs")} us of the service's CPU and ` +
      `${of("serverUs")} us of PostgreSQL's a Lookup`,
  );
}
for (const contender of contenders) {
  const others = contenders.filter((it) => it.database === contender.database || it.rows === contender.rows);
  const smaller = others.find(({ rows }) => rows < contender.rows);
  const onSqlite = others.find(({ database }) => database === "sqlite");
  if (smaller !== undefined) {
    report(contender, smaller, TARGETS.rows);
  }
  if (onSqlite !== undefined && contender.database === "postgres") {
    report(contender, onSqlite, TARGETS.postgres);
  }
}
console.log(`load average ${loadBefore} before and ${loadavg()[0]?.toFixed(1)} after`);

/** Compares runs of the same round, because a busy machine slows both. */
function report(contender: Contender, other: Contender, target: number): void {
  const ratioOf = (of: (it: Measurement, beside: Measurement) => number): string =>
    median(
      contender.measured.flatMap((it, round) => {
        const beside = other.measured[round];
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
