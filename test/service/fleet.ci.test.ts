import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type FakeVpic, startFakeVpic } from "../support/fake-vpic.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { connect, PostgresServer } from "../support/postgres.ts";
import { manyVins } from "../support/real-vins.ts";
import { directoryWithSnapshot } from "../support/shared.ts";
import { removesDuringDecodes, violationsOf } from "../support/removal-history.ts";
import { seeded } from "../support/seeded.ts";
import { answerWithStamps, MixedLoad } from "./fleet/mixed-load.ts";
import { Replica, type Span } from "./fleet/replica.ts";
import { askedTwiceAtOnce, budgetExcess, togetherIn } from "./fleet/vpic-traffic.ts";

const VINS = manyVins(20_000);
/** The default rate of requests to vPIC. */
const RATE = { requestsPerSecond: 5, burst: 20 };
const SEED = 21;
const REQUESTS_BETWEEN_KILLS = 15;
/** The share of kills that end a whole replica instead of one of its workers. */
const KILLS_OF_ALL = 0.4;
/** Maximum number of kills for one replica, because a service stops after five deaths in a minute. */
const MOST_DEATHS = 3;
/** Only a hang takes this long. The limit is generous, because many processes start and the machine may be busy. */
const HANG_MS = 900_000;

const ENV = {
  WORKERS: "2",
  // Three replicas with two workers each open at most 24 of the server's 60 connections.
  DATABASE_POOL: "4",
  VPIC_REQUESTS_PER_SECOND: String(RATE.requestsPerSecond),
  VPIC_PATIENCE: "500ms",
  // All callers of the test have the same address.
  CONNECTIONS_PER_ADDRESS: "unlimited",
  RATE_LIMIT_PER_SECOND: "1000000",
  RATE_LIMIT_BURST: "1000000",
};

/** A database that replicas share. */
interface Place {
  readonly databaseUrl: string;
  /** Stops the database, calls the function and starts it again. Undefined when the database is a file. */
  readonly restart?: (whileStopped: () => Promise<void>) => Promise<void>;
  /** Prevents generations from increasing, so that a put does not notice that its VIN was removed. */
  readonly plantBug: () => Promise<void>;
}

interface Fleet {
  readonly replicas: readonly string[];
  readonly kills: number;
  readonly open: (stack: AsyncDisposableStack) => Promise<Place>;
}

const FLEETS: Readonly<Record<string, Fleet>> = {
  "three replicas with two workers each on one PostgreSQL database": {
    replicas: ["a", "b", "c"],
    kills: 6,
    open: (stack) => openPostgres(stack, async (_server, databaseUrl) => databaseUrl),
  },
  "three replicas with two workers each on one PostgreSQL database through PgBouncer": {
    replicas: ["a", "b", "c"],
    kills: 6,
    open: (stack) =>
      openPostgres(stack, async (server, databaseUrl) => {
        const pgBouncer = stack.use(await startPgBouncer(server, 12));
        return `${pgBouncer.urlOf(databaseUrl)}&pgbouncer=true`;
      }),
  },
  "two workers on one SQLite file": { replicas: ["a"], kills: MOST_DEATHS, open: openSqlite },
};

describe.each(Object.entries(FLEETS))("%s, under mixed load and kill -9", { timeout: HANG_MS }, (_title, fleet) => {
  const stack = new AsyncDisposableStack();
  let vpic: FakeVpic;
  let place: Place;
  let replicas: Replica[];
  let load: MixedLoad;
  let timesAlone: readonly Span[];

  beforeAll(async () => {
    vpic = stack.use(await startFakeVpic());
    answerWithStamps(vpic, SEED);
    place = await fleet.open(stack);
    replicas = await Promise.all(fleet.replicas.map(startReplica));
    load = new MixedLoad(replicas, VINS, SEED);
    stack.use(load);
    const random = seeded(SEED);
    for (let kill = 0; kill < fleet.kills; kill++) {
      await moreRequests(REQUESTS_BETWEEN_KILLS);
      await killOne(random);
    }
    await moreRequests(REQUESTS_BETWEEN_KILLS);
    await place.restart?.(() => moreRequests(1));
    await eventually(() => Promise.all(replicas.map(async ({ client }) => client?.remove({ vin: VINS.at(-1) ?? "" }))));
    await load[Symbol.asyncDispose]();
    await load.lookUpRemoved();
    timesAlone = replicas.flatMap((replica) => replica.timesAlone);
  }, HANG_MS);

  afterAll(() => stack.disposeAsync());

  test("vPIC gets no more than the budget in any window", () => {
    expect(togetherIn(vpic.requests, timesAlone).flat().length).toBeGreaterThan(RATE.burst);
    expect(budgetExcess(vpic.requests, RATE, timesAlone)).toBeLessThanOrEqual(0);
    // A process that decides alone has its share of the budget, and a burst of one request.
    const { requestsPerSecond, burst } = RATE;
    const withShares = { requestsPerSecond: 2 * requestsPerSecond, burst: burst + 2 * replicas.length };
    expect(budgetExcess(vpic.requests, withShares, [])).toBeLessThanOrEqual(0);
  });

  test("vPIC gets no second request for a VIN while it answers the first one", () => {
    expect(askedTwiceAtOnce(vpic.requests, timesAlone)).toEqual([]);
  });

  test("no Lookup fails if a source could answer it", () => {
    expect(load.failures).toEqual([]);
  });

  test("no answer from the cache is older than an acknowledged Remove", () => {
    expect(removesDuringDecodes(load.history)).toBeGreaterThan(0);
    expect(violationsOf(load.history)).toEqual([]);
  });

  test("the check of answers notices one that is older than a Remove", async () => {
    await place.plantBug();
    await using faulty = new MixedLoad(replicas, VINS, SEED);

    await eventually(() => expect(violationsOf(faulty.history)).not.toEqual([]));
  });

  async function startReplica(name: string): Promise<Replica> {
    const { path } = stack.use(await directoryWithSnapshot());
    const env = { ...ENV, DATA_DIR: path, DATABASE_URL: place.databaseUrl, VPIC_URL: vpic.url };
    return stack.use(await Replica.start(name, env));
  }

  /** Waits until vPIC has received this many more requests. */
  async function moreRequests(count: number): Promise<void> {
    const wanted = vpic.requests.length + count;
    await eventually(() => expect(vpic.requests.length).toBeGreaterThanOrEqual(wanted));
  }

  async function killOne(random: () => number): Promise<void> {
    const choices = replicas.filter(({ deaths }) => deaths < MOST_DEATHS);
    const victim = choices[Math.floor(random() * choices.length)];
    await eventually(() => expect(victim?.isWhole).toBe(true));
    await (replicas.length > 1 && random() < KILLS_OF_ALL ? victim?.killAll() : victim?.killWorker(random));
  }
});

async function openPostgres(
  stack: AsyncDisposableStack,
  urlFor: (server: PostgresServer, databaseUrl: string) => Promise<string>,
): Promise<Place> {
  const server = stack.use(await PostgresServer.start());
  const directUrl = await server.createDatabase("fleet");
  return {
    databaseUrl: await urlFor(server, directUrl),
    async restart(whileStopped) {
      await server.stop();
      await whileStopped();
      await server.resume();
    },
    async plantBug() {
      const orm = await connect(directUrl);
      await orm.em.execute(`create function keep_generation() returns trigger language plpgsql
        as 'begin new.generation := old.generation; return new; end'`);
      await orm.em.execute(
        "create trigger bug before update on vehicle_removals for each row execute function keep_generation()",
      );
      await orm.close();
    },
  };
}

async function openSqlite(stack: AsyncDisposableStack): Promise<Place> {
  const { path } = stack.use(await directoryWithSnapshot());
  const file = join(path, "vehicles.db");
  return {
    databaseUrl: `sqlite:${file}`,
    async plantBug() {
      const database = new Database(file);
      database.exec(`create trigger bug after update on vehicle_removals
        begin update vehicle_removals set generation = old.generation where vin = old.vin; end`);
      database.close();
    },
  };
}
