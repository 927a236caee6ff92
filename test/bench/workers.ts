/**
 * Measures what a second worker adds for cached Lookups over gRPC, and what two more replicas on PostgreSQL add:
 * `node test/bench/workers.ts [seconds]`.
 *
 * The load needs a core of its own. On a machine with two cores, the processes would get too little. So the throughput
 * on free cores is computed from the CPU time per call, and from how evenly the workers share the calls.
 */
import { PostgresServer } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { Load } from "./calls/load.ts";
import { median } from "./calls/median.ts";
import { Service } from "./calls/service.ts";
import { childrenOf, cpuMsOf } from "./process-usage.ts";

const seconds = Number(process.argv[2] ?? 5);
const ROUNDS = 3;
const SHAPE = { connections: 8, callsEach: 16 };

await using directory = await temporaryDirectory();
await using one = await Service.start({ dataDir: directory.path });
await using two = await Service.start({ dataDir: directory.path, workers: 2 });
await using load = Load.start();

/** The processes that answer calls, and the process that starts them. */
async function processesOf({ pid }: Service): Promise<{ primary: number; workers: number[] }> {
  const children = await childrenOf(pid);
  return { primary: pid, workers: children.length === 0 ? [pid] : children };
}

interface Measurement {
  readonly callsPerSecond: number;
  /** Of all processes together, us. */
  readonly cpuUs: number;
  /** The busiest worker's share of the CPU time of all workers. */
  readonly busiestShare: number;
}

async function measure(service: Service): Promise<Measurement> {
  const { primary, workers } = await processesOf(service);
  const readAll = (): Promise<number[]> => Promise.all([...workers, primary].map(cpuMsOf));
  const before = await readAll();
  const { good, goodPerSecond } = await load.run({
    target: service.target("gRPC"),
    request: "cached Lookup",
    ...SHAPE,
    pace: { kind: "closed", seconds },
  });
  const used = (await readAll()).map((ms, index) => ms - (before[index] ?? 0));
  const byWorkers = used.slice(0, workers.length);
  const inWorkers = byWorkers.reduce((sum, ms) => sum + ms, 0);
  const all = workers.includes(primary) ? inWorkers : inWorkers + (used.at(-1) ?? 0);
  return {
    callsPerSecond: goodPerSecond,
    cpuUs: (1_000 * all) / good.count,
    busiestShare: Math.max(...byWorkers) / inWorkers,
  };
}

const ratios: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  const [alone, both] = [await measure(one), await measure(two)];
  // The busiest worker is the first to use its core fully.
  const ratio = alone.cpuUs / (both.cpuUs * both.busiestShare);
  ratios.push(ratio);
  for (const [name, { callsPerSecond, cpuUs, busiestShare }] of Object.entries({
    "1 worker": alone,
    "2 workers": both,
  })) {
    console.log(
      `round ${round}, ${name}: ${callsPerSecond.toFixed(0)} calls/s beside the load, ${cpuUs.toFixed(0)} us of CPU a call, ` +
        `busiest worker ${(100 * busiestShare).toFixed(0)} %`,
    );
  }
}
console.log(`two workers on two free cores: ${median(ratios).toFixed(2)} times the calls of one (target 1.6)`);

const REPLICAS = 3;
/** For each replica. */
const REPLICA_SHAPE = { connections: 4, callsEach: 16 };

await using server = await PostgresServer.start();
await using owned = new AsyncDisposableStack();
const databaseUrl = await server.createDatabase("replicas");
const replicas: { readonly service: Service; readonly load: Load }[] = [];
while (replicas.length < REPLICAS) {
  replicas.push({
    service: owned.use(await Service.start({ dataDir: directory.path, databaseUrl })),
    load: owned.use(Load.start()),
  });
}

/** CPU time in us. */
interface ReplicaMeasurement {
  /** For a call, of the replica that takes most. */
  readonly serviceUs: number;
  /** For a call, of PostgreSQL. */
  readonly serverUs: number;
}

async function cpuMsOfServer(): Promise<number> {
  const all = await Promise.all((await childrenOf(server.pid ?? 0)).map(cpuMsOf));
  return all.reduce((sum, ms) => sum + ms, 0);
}

async function measureReplicas(measured: typeof replicas): Promise<ReplicaMeasurement> {
  const serverMs = await cpuMsOfServer();
  const calls = await Promise.all(
    measured.map(async ({ service, load: ownLoad }) => {
      const serviceMs = await cpuMsOf(service.pid);
      const { good } = await ownLoad.run({
        target: service.target("gRPC"),
        request: "cached Lookup",
        ...REPLICA_SHAPE,
        pace: { kind: "closed", seconds },
      });
      return { count: good.count, serviceUs: (1_000 * ((await cpuMsOf(service.pid)) - serviceMs)) / good.count };
    }),
  );
  const count = calls.reduce((sum, each) => sum + each.count, 0);
  return {
    serviceUs: Math.max(...calls.map(({ serviceUs }) => serviceUs)),
    serverUs: (1_000 * ((await cpuMsOfServer()) - serverMs)) / count,
  };
}

const replicaRatios: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  const [alone, all] = [await measureReplicas(replicas.slice(0, 1)), await measureReplicas(replicas)];
  replicaRatios.push((REPLICAS * alone.serviceUs) / all.serviceUs);
  for (const [name, { serviceUs, serverUs }] of Object.entries({ "1 replica": alone, [`${REPLICAS} replicas`]: all })) {
    console.log(
      `round ${round}, ${name}: ${serviceUs.toFixed(0)} us of CPU a call, and ${serverUs.toFixed(0)} us of PostgreSQL's`,
    );
  }
}
console.log(`three replicas on three free cores: ${median(replicaRatios).toFixed(2)} times the calls of one`);
