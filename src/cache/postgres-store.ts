import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { MikroORM } from "@mikro-orm/postgresql";
import type { Logger } from "../telemetry/logger.ts";
import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { readPostgresContents, type StoreContents } from "./contents.ts";
import { isPostgresLockTimeout, isPostgresPooled, isPostgresTransient } from "./database-errors.ts";
import type { FleetStatement } from "./fleet.ts";
import { migratePostgres } from "./migrate-postgres.ts";
import { mikroOptions } from "./mikro-options.ts";
import {
  closePostgres,
  destroyIdle,
  hasPgBouncer,
  inTransaction,
  type PostgresPool,
  type PostgresQuery,
  type PostgresSession,
  postgresOptions,
} from "./postgres-connection.ts";
import { ReadQueue } from "./read-queue.ts";
import type { DatabaseStore } from "./resilient-store.ts";
import { generationOf, INSERT_REMOVALS, INSERT_VEHICLES, PING, UNLESS_OUTRANKED } from "./statements.ts";
import { sweep } from "./sweep.ts";
import { VehicleEntity } from "./vehicle-entity.ts";
import { ALL_COLUMNS, columnsOf, fromRow, KEY_COLUMNS, toKey, toRow } from "./vehicle-row.ts";
import { type Put, type WriteBatch, type WriteOutcome, WriteQueue } from "./write-queue.ts";

const CONNECT_TIMEOUT_MS = 500;
/** The server enforces the limits below; this one is for a server that no longer answers. */
const QUERY_TIMEOUT_MS = 1_000;

/** For each kind of read, so that connections remain for the writer, pings and sweeping. */
const READS = { maxKeys: 256, maxRunning: 2 };

/**
 * The limits of each transaction, sent in one round trip with `begin`. PgBouncer refuses them as startup parameters. A
 * transaction that this process abandons must not hold its locks for long.
 */
const LIMITS = `set local statement_timeout = 500; set local lock_timeout = 100;
  set local idle_in_transaction_session_timeout = 2000`;
const BEGIN = `begin; ${LIMITS}`;
/** Fails on a standby. Until it becomes the primary, it may not have seen the latest removals. */
const PING_TEXT = ["begin read write", LIMITS, ...PING, "commit"].join("; ");

/** Each holder keeps a VIN's lock for a millisecond, but on a busy machine several may wait for it. */
const LOCK_ATTEMPTS = 5;
/** At REPEATABLE READ, transactions on one VIN fail at once instead of waiting for each other. */
const ATTEMPTS = 25;
const MAX_PAUSE_MS = 20;

/** SQL, and a name for it. Other versions of the service have other SQL under other names. */
interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * Locks the row of each VIN, in the order of the VINs, so that two transactions never deadlock. Adds missing rows with
 * the time 0, and keeps the generations. At REPEATABLE READ, a transaction that saw the state before it got the locks
 * fails here and is retried.
 */
const LOCK = statement(`${INSERT_REMOVALS}
  select vin, ${generationOf("asked.vin")}, 0
  from (select distinct vin from unnest($1::text[]) as listed (vin) order by vin) as asked
  on conflict (vin) do update set generation = vehicle_removals.generation`);
/** Deletes the rows that only the lock needed. */
const UNLOCK = statement("delete from vehicle_removals where vin = any($1::text[]) and removed_at = 0");
const RECORD_REMOVALS = statement(
  "update vehicle_removals set generation = generation + 1, removed_at = $2 where vin = any($1::text[])",
);
const DELETE_VEHICLES = statement("delete from vehicles where vin = any($1::text[]) returning vin");
const GENERATIONS = statement(`select ${generationOf("asked.vin")}
  from unnest($1::text[]) with ordinality as asked (vin, place) order by place`);
const FIND: Readonly<Record<View, Statement>> = { basic: selectByKeys("basic"), full: selectByKeys("full") };

export interface PostgresStoreOptions {
  readonly url: string;
  /** Maximum number of connections. */
  readonly databasePool: number;
  readonly logger: Logger;
  /** The time in ms since the epoch. */
  readonly now: () => number;
  /** How long a read waits for the server, in ms. */
  readonly readTimeoutMs: number;
  /** How long a put waits for the server, in ms. */
  readonly putTimeoutMs: number;
}

/** The cache in a PostgreSQL database, reached directly or through PgBouncer. */
export class PostgresStore implements DatabaseStore {
  readonly #orm: MikroORM;
  readonly #pool: PostgresPool;
  readonly #options: PostgresStoreOptions;
  readonly #finds: Readonly<Record<View, ReadQueue<VehicleQuery, CachedVehicle | undefined>>>;
  readonly #generations: ReadQueue<Vin, number>;
  readonly #queue: WriteQueue;
  readonly #putMany: Statement;
  /** The statements of the fleet that have run, by their text. */
  readonly #fleet = new Map<string, Statement>();
  /** Whether statements are prepared once on each connection. */
  #arePrepared: boolean;

  /** @param pool the connection pool of `orm`. */
  constructor(orm: MikroORM, pool: PostgresPool, options: PostgresStoreOptions) {
    this.#orm = orm;
    this.#pool = pool;
    this.#options = options;
    this.#arePrepared = !hasPgBouncer(options.url);
    this.#finds = {
      basic: new ReadQueue({ ...READS, read: (queries) => this.#readVehicles(queries, "basic") }),
      full: new ReadQueue({ ...READS, read: (queries) => this.#readVehicles(queries, "full") }),
    };
    this.#generations = new ReadQueue({ ...READS, read: (vins) => this.#readGenerations(vins) });
    this.#queue = new WriteQueue({ commit: (batch) => this.#write(batch), timeoutMs: options.putTimeoutMs });
    this.#putMany = insertMany(orm);
  }

  find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    return this.#finds[view].read(query);
  }

  findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    return Promise.all(queries.map((query) => this.#finds[view].read(query)));
  }

  removalsOf(vin: Vin): Promise<number> {
    return this.#generations.read(vin);
  }

  put(query: VehicleQuery, decode: Decode, removals: number): Promise<boolean> {
    return this.#queue.put({ query, decode, removals });
  }

  remove(vin: Vin): Promise<boolean> {
    return this.#queue.remove(vin);
  }

  sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    return this.#persist(() => sweep(this.#orm.em.fork(), cutoffs, limit, this.#options.now()));
  }

  contents(): Promise<StoreContents> {
    return inTransaction(this.#pool, BEGIN, readPostgresContents);
  }

  async coordinate({ postgres }: FleetStatement, values: readonly (string | number)[]): Promise<unknown[][]> {
    const named = this.#fleet.get(postgres) ?? statement(postgres);
    this.#fleet.set(postgres, named);
    return this.#query(named, values, this.#options.putTimeoutMs);
  }

  async ping(): Promise<void> {
    try {
      await this.#pool.query({ text: PING_TEXT });
    } catch (error) {
      await destroyIdle(this.#pool);
      throw error;
    }
  }

  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.idle();
    await closePostgres(this.#orm, this.#pool);
  }

  async #readVehicles(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    const keys = queries.map(toKey);
    const values = [keys.map(([vin]) => vin), keys.map(([, hint]) => hint)];
    const rows = await this.#query(FIND[view], values, this.#options.readTimeoutMs);
    const rowsByKey = new Map(rows.map((row) => [row.slice(0, KEY_COLUMNS.length).join(" "), row]));
    return queries.map((query, index) => {
      const row = rowsByKey.get(keys[index]?.join(" ") ?? "");
      return row === undefined ? undefined : fromRow(query, row);
    });
  }

  async #readGenerations(vins: readonly Vin[]): Promise<number[]> {
    const rows = await this.#query(GENERATIONS, [vins], this.#options.readTimeoutMs);
    return rows.map(([generation]) => Number(generation));
  }

  async #query(work: Statement, values: readonly unknown[], timeoutMs: number): Promise<unknown[][]> {
    return this.#persist(async () => {
      const running = this.#pool.query({ ...this.#toQuery(work, values), query_timeout: timeoutMs });
      // The query's own time-out starts only when it has a connection.
      const { rows } = await withTimeout(running, timeoutMs);
      return rows;
    });
  }

  #write(batch: WriteBatch): Promise<WriteOutcome> {
    return this.#persist(async () => {
      const stored = await inTransaction(this.#pool, BEGIN, (session) => this.#writeIn(session, batch));
      // After the commit, because a transaction at REPEATABLE READ does not see what was put while it waited for its
      // locks. From the commit on, no older decode can be put.
      const removed = await this.#deleteVehicles(batch.removals);
      return { removed, stored };
    });
  }

  /** @returns whether there was an entry of each VIN. */
  async #deleteVehicles(vins: readonly Vin[]): Promise<boolean[]> {
    if (vins.length === 0) {
      return [];
    }
    const { rows } = await this.#pool.query(this.#toQuery(DELETE_VEHICLES, [vins]));
    const deleted = new Set(rows.map(([vin]) => vin));
    return vins.map((vin) => deleted.has(vin));
  }

  /** @returns which puts were stored. */
  async #writeIn(session: PostgresSession, { puts, removals }: WriteBatch): Promise<boolean[]> {
    const run = (work: Statement, values: readonly unknown[]) => session.query(this.#toQuery(work, values));
    const putVins = puts.map(({ query }) => query.vin);
    await run(LOCK, [[...removals, ...putVins]]);
    if (removals.length > 0) {
      await run(RECORD_REMOVALS, [removals, this.#options.now()]);
    }
    if (puts.length === 0) {
      return [];
    }
    const { rows } = await run(this.#putMany, toColumns(puts));
    await run(UNLOCK, [putVins]);
    const stored = new Set(rows.map((row) => row.join(" ")));
    return puts.map(({ query }) => stored.has(toKey(query).join(" ")));
  }

  #toQuery({ name, text }: Statement, values: readonly unknown[]): PostgresQuery {
    return { name: this.#arePrepared ? name : undefined, text, values, rowMode: "array" };
  }

  /** Retries work that failed because of another transaction, or because of prepared statements. */
  async #persist<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        const isPooled = isPostgresPooled(error);
        const maxAttempts = isPostgresLockTimeout(error) ? LOCK_ATTEMPTS : ATTEMPTS;
        if (attempt >= maxAttempts || !(isPooled || isPostgresTransient(error))) {
          throw error;
        }
        if (isPooled && this.#arePrepared) {
          this.#arePrepared = false;
          this.#options.logger.info("a pooler shares PostgreSQL's connections; continuing without prepared statements");
        }
        // Random, so that transactions that collided do not collide again.
        await sleep(Math.random() * MAX_PAUSE_MS);
      }
    }
  }
}

/** Connects to PostgreSQL and creates missing tables. The database must exist. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const { url, databasePool, logger, readTimeoutMs } = options;
  await using opened = new AsyncDisposableStack();
  const orm = await MikroORM.init({
    ...mikroOptions(logger),
    ...(await postgresOptions(url, {
      max: databasePool,
      connectionTimeoutMillis: Math.max(CONNECT_TIMEOUT_MS, readTimeoutMs),
      query_timeout: Math.max(QUERY_TIMEOUT_MS, readTimeoutMs),
    })),
  });
  const pool: PostgresPool = await orm.em.getConnection().getNativeClient();
  opened.defer(() => closePostgres(orm, pool));
  await migratePostgres(orm, pool);
  opened.move();
  return new PostgresStore(orm, pool, options);
}

/** @throws Error when the result takes too long. */
async function withTimeout<Result>(result: Promise<Result>, timeoutMs: number): Promise<Result> {
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    // An answer that arrived while this process was busy still counts.
    setImmediate(reject, new Error("the database took too long to answer"));
  }, timeoutMs);
  try {
    return await Promise.race([result, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

function statement(text: string): Statement {
  return { name: createHash("sha256").update(text).digest("hex").slice(0, 32), text };
}

/**
 * The subquery's limit makes PostgreSQL use the key for each of them, for any estimate of the table's size. A standby
 * returns nothing, because it may still have vehicles that were removed on the primary.
 */
function selectByKeys(view: View): Statement {
  const condition = KEY_COLUMNS.map((column) => `vehicles.${column} = asked.${column}`).join(" and ");
  return statement(`select found.*
    from unnest($1::text[], $2::integer[]) as asked (${KEY_COLUMNS.join(", ")})
    cross join lateral (select ${columnsOf(view).join(", ")} from vehicles where ${condition} limit 1) as found
    where not pg_is_in_recovery()`);
}

/** Parameters: see {@link toColumns}. Returns the keys that were stored. */
function insertMany(orm: MikroORM): Statement {
  const types = orm
    .getMetadata()
    .get(VehicleEntity)
    .props.flatMap(({ columnTypes }) => columnTypes);
  const parameters = [...types, "bigint"].map((type, index) => `$${index + 1}::${type}[]`);
  return statement(`${INSERT_VEHICLES} select ${ALL_COLUMNS.map((column) => `put.${column}`).join(", ")}
    from unnest(${parameters.join(", ")}) as put (${ALL_COLUMNS.join(", ")}, removals)
    where ${generationOf("put.vin")} = put.removals
    ${UNLESS_OUTRANKED} returning ${KEY_COLUMNS.map((column) => `vehicles.${column}`).join(", ")}`);
}

/** One array for each column, and one for the removals. */
function toColumns(puts: readonly Put[]): unknown[][] {
  const rows = puts.map(({ query, decode, removals }) => [...toRow(query, decode), removals]);
  return [...ALL_COLUMNS, "removals"].map((_, index) => rows.map((row) => row[index]));
}
