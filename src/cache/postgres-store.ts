import { MikroORM } from "@mikro-orm/postgresql";
import type { Logger } from "../telemetry/logger.ts";
import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { isPostgresLockTimeout, isPostgresTableMissing } from "./database-errors.ts";
import { mikroOptions } from "./mikro-options.ts";
import type { DatabaseStore } from "./resilient-store.ts";
import { generationOf, INSERT_REMOVALS, INSERT_VEHICLES, OR_RENEW, PING, UNLESS_OUTRANKED } from "./statements.ts";
import { sweep } from "./sweep.ts";
import { VehicleEntity } from "./vehicle-entity.ts";
import { ALL_COLUMNS, columnsOf, fromRow, KEY_COLUMNS, toKey, toRow } from "./vehicle-row.ts";
import { type Put, type WriteBatch, type WriteOutcome, WriteQueue } from "./write-queue.ts";

/** Reads leave a few connections for the writer, pings and sweeping. */
const CONNECTIONS = 10;
const READS_AT_ONCE = 7;

const POOL = {
  max: CONNECTIONS,
  connectionTimeoutMillis: 500,
  // The server enforces the limits below; this one is for a server that no longer answers.
  query_timeout: 1_000,
};

/**
 * The limits of each transaction, sent in one round trip with `begin`. PgBouncer refuses them as startup parameters. A
 * transaction that this process abandons must not hold its locks for long.
 */
const LIMITS = limits({ statementMs: 500, lockMs: 100 });

/** Statements must see everything committed before the transaction got its locks. */
const BEGIN = `begin isolation level read committed; ${LIMITS}`;
const PING_TEXT = ["begin read only", LIMITS, ...PING, "commit"].join("; ");

/** Any number works if all replicas use the same one. */
const MIGRATION_LOCK = 7_205_759_403;
const MIGRATION_WAIT_MS = 10_000;

/** Each holder keeps a VIN's lock for a millisecond, but on a busy machine several may wait for it. */
const LOCK_ATTEMPTS = 5;

/** In the order of the locks, so that two transactions never deadlock. */
const LOCK_VINS = `select pg_advisory_xact_lock(lock) from (
  select distinct hashtextextended(vin, 0) as lock from unnest($1::text[]) as asked (vin) order by lock) as locks`;

const GENERATION = `select ${generationOf("$1")}`;
const FIND: Readonly<Record<View, string>> = { basic: selectByKey("basic"), full: selectByKey("full") };
const FIND_MANY: Readonly<Record<View, string>> = { basic: selectByKeys("basic"), full: selectByKeys("full") };
const RECORD_REMOVALS = `${INSERT_REMOVALS}
  select vin, ${generationOf("asked.vin")} + 1, $2 from unnest($1::text[]) as asked (vin) ${OR_RENEW}`;
const DELETE_VEHICLES = "delete from vehicles where vin = any($1::text[]) returning vin";

interface PostgresQuery {
  /** Statements with a name are prepared once on each connection. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly rowMode?: "array";
  /** How long to wait for the answer, in ms. */
  readonly query_timeout?: number;
}

interface PostgresSession {
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[][] }>;
  release(destroy: boolean): void;
}

/** The part of MikroORM's pool used here. */
interface PostgresPool {
  /** A connection on which the query fails is destroyed. */
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[][] }>;
  connect(): Promise<PostgresSession>;
}

export interface PostgresStoreOptions {
  readonly url: string;
  readonly logger: Logger;
  /** The time in ms since the epoch. */
  readonly now: () => number;
  /** How long a read waits for the server, in ms. */
  readonly readPatienceMs: number;
  /** How long a put waits for the server, in ms. */
  readonly putPatienceMs: number;
}

/** The vehicles in one PostgreSQL database. Statements have names, so that each connection prepares them once. */
export class PostgresStore implements DatabaseStore {
  readonly #orm: MikroORM;
  readonly #pool: PostgresPool;
  readonly #options: PostgresStoreOptions;
  readonly #slots = new Slots(READS_AT_ONCE);
  readonly #queue: WriteQueue;
  readonly #putMany: string;

  /** @param pool the connection pool of `orm`. */
  constructor(orm: MikroORM, pool: PostgresPool, options: PostgresStoreOptions) {
    this.#orm = orm;
    this.#pool = pool;
    this.#options = options;
    this.#queue = new WriteQueue({ commit: (batch) => this.#write(batch), patienceMs: options.putPatienceMs });
    this.#putMany = insertMany(orm);
  }

  async find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    const rows = await this.#read(`find-${view}`, FIND[view], toKey(query));
    return rows[0] === undefined ? undefined : fromRow(query, rows[0]);
  }

  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    const keys = queries.map(toKey);
    const values = [keys.map(([vin]) => vin), keys.map(([, hint]) => hint)];
    const rows = await this.#read(`find-many-${view}`, FIND_MANY[view], values);
    const rowsByKey = new Map(rows.map((row) => [row.slice(0, KEY_COLUMNS.length).join(" "), row]));
    return queries.map((query, index) => {
      const row = rowsByKey.get(keys[index]?.join(" ") ?? "");
      return row === undefined ? undefined : fromRow(query, row);
    });
  }

  async removalsOf(vin: Vin): Promise<number | undefined> {
    const rows = await this.#read("removals-of", GENERATION, [vin]);
    return Number(rows[0]?.[0]);
  }

  put(query: VehicleQuery, decode: Decode, removals: number): Promise<boolean> {
    return this.#queue.put({ query, decode, removals });
  }

  remove(vin: Vin): Promise<boolean> {
    return this.#queue.remove(vin);
  }

  sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    return sweep(this.#orm.em.fork(), cutoffs, limit, this.#options.now());
  }

  async ping(): Promise<void> {
    await this.#pool.query({ text: PING_TEXT });
  }

  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.idle();
    await this.#orm.close();
  }

  async #read(name: string, text: string, values: readonly unknown[]): Promise<unknown[][]> {
    const { readPatienceMs } = this.#options;
    await this.#slots.take();
    try {
      const reading = this.#pool.query({ name, text, values, rowMode: "array", query_timeout: readPatienceMs });
      // The query's own time-out starts only when it has a connection.
      const { rows } = await withinPatience(reading, readPatienceMs);
      return rows;
    } catch (error) {
      // The database does not answer, so reads that wait for a slot are refused at once instead of one by one.
      this.#slots.refuse(error);
      throw error;
    } finally {
      this.#slots.give();
    }
  }

  async #write(batch: WriteBatch): Promise<WriteOutcome> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await inTransaction(this.#pool, (session) => this.#writeIn(session, batch));
      } catch (error) {
        if (!isPostgresLockTimeout(error) || attempt === LOCK_ATTEMPTS) {
          throw error;
        }
      }
    }
  }

  async #writeIn(session: PostgresSession, { puts, removals }: WriteBatch): Promise<WriteOutcome> {
    const run = async (name: string, text: string, values: readonly unknown[]): Promise<Set<string>> => {
      const { rows } = await session.query({ name, text, values, rowMode: "array" });
      return new Set(rows.map((row) => row.join(" ")));
    };
    await run("lock", LOCK_VINS, [[...removals, ...puts.map(({ query }) => query.vin)]]);
    let removed = new Set<string>();
    if (removals.length > 0) {
      await run("record-removals", RECORD_REMOVALS, [removals, this.#options.now()]);
      removed = await run("delete", DELETE_VEHICLES, [removals]);
    }
    const stored = puts.length === 0 ? new Set<string>() : await run("put", this.#putMany, toColumns(puts));
    return {
      removed: removals.map((vin) => removed.has(vin)),
      stored: puts.map(({ query }) => stored.has(toKey(query).join(" "))),
    };
  }
}

/** Connects to PostgreSQL and creates missing tables. The database must exist. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const { url, logger } = options;
  await using opened = new AsyncDisposableStack();
  const orm = await MikroORM.init({
    ...mikroOptions(logger),
    dbName: decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres",
    ensureDatabase: false,
    driverOptions: { connectionString: url, ...POOL },
  });
  opened.defer(() => orm.close());
  const pool: PostgresPool = await orm.em.getConnection().getNativeClient();
  await migrateAlone(pool, orm);
  opened.move();
  return new PostgresStore(orm, pool, options);
}

/** Runs the migrations, one replica at a time. */
async function migrateAlone(pool: PostgresPool, orm: MikroORM): Promise<void> {
  const begin = `begin; ${limits({ statementMs: MIGRATION_WAIT_MS, lockMs: MIGRATION_WAIT_MS, idleMs: 0 })}`;
  await inTransaction(
    pool,
    async (session) => {
      await session.query({
        text: "select pg_advisory_xact_lock($1)",
        values: [MIGRATION_LOCK],
        query_timeout: MIGRATION_WAIT_MS + POOL.query_timeout,
      });
      await orm.migrator.up();
      try {
        await pool.query({ text: PING_TEXT });
      } catch (error) {
        if (!isPostgresTableMissing(error)) {
          throw error;
        }
        // A table was dropped, which the migrations do not notice. The other must be dropped too: entries without the
        // record of removals are wrong, and so is that record without entries.
        await orm.em.fork().execute("drop table if exists vehicles, vehicle_removals");
        await orm.em.fork().execute("delete from mikro_orm_migrations");
        await orm.migrator.up();
      }
    },
    begin,
  );
}

/** Destroys the connection after any failure, which ends its transaction and releases its locks. */
async function inTransaction<Result>(
  pool: PostgresPool,
  work: (session: PostgresSession) => Promise<Result>,
  begin: string = BEGIN,
): Promise<Result> {
  const session = await pool.connect();
  let isCommitted = false;
  try {
    await session.query({ text: begin });
    const result = await work(session);
    await session.query({ text: "commit" });
    isCommitted = true;
    return result;
  } finally {
    session.release(!isCommitted);
  }
}

/** Limits how many reads run at once. The others wait. */
class Slots {
  #free: number;
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(): Promise<void> {
    if (this.#free === 0) {
      const turn = Promise.withResolvers<void>();
      this.#waiting.push(turn);
      await turn.promise;
    } else {
      this.#free--;
    }
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#free++;
    } else {
      next.resolve();
    }
  }

  /** Rejects all waiting reads. */
  refuse(error: unknown): void {
    this.#waiting.splice(0).forEach(({ reject }) => reject(error));
  }
}

/** @throws Error when the result takes too long. */
async function withinPatience<Result>(result: Promise<Result>, patienceMs: number): Promise<Result> {
  const { promise: tooLate, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    // An answer that arrived while this process was busy still counts.
    setImmediate(reject, new Error("the database took too long to answer"));
  }, patienceMs);
  try {
    return await Promise.race([result, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

function limits({
  statementMs,
  lockMs,
  idleMs = 2_000,
}: {
  statementMs: number;
  lockMs: number;
  idleMs?: number;
}): string {
  return `set local statement_timeout = ${statementMs}; set local lock_timeout = ${lockMs};
    set local idle_in_transaction_session_timeout = ${idleMs}`;
}

function selectByKey(view: View): string {
  const condition = KEY_COLUMNS.map((column, index) => `${column} = $${index + 1}`).join(" and ");
  return `select ${columnsOf(view).join(", ")} from vehicles where ${condition}`;
}

function selectByKeys(view: View): string {
  return `select ${columnsOf(view).join(", ")}
    from (select distinct * from unnest($1::text[], $2::integer[]) as asked (${KEY_COLUMNS.join(", ")})) as asked
    join vehicles using (${KEY_COLUMNS.join(", ")})`;
}

/** Parameters: see {@link toColumns}. Returns the keys that were stored. */
function insertMany(orm: MikroORM): string {
  const types = orm
    .getMetadata()
    .get(VehicleEntity)
    .props.flatMap(({ columnTypes }) => columnTypes);
  const parameters = [...types, "bigint"].map((type, index) => `$${index + 1}::${type}[]`);
  return `${INSERT_VEHICLES} select ${ALL_COLUMNS.map((column) => `put.${column}`).join(", ")}
    from unnest(${parameters.join(", ")}) as put (${ALL_COLUMNS.join(", ")}, removals)
    where ${generationOf("put.vin")} = put.removals
    ${UNLESS_OUTRANKED} returning ${KEY_COLUMNS.map((column) => `vehicles.${column}`).join(", ")}`;
}

/** One array for each column, and one for the removals. */
function toColumns(puts: readonly Put[]): unknown[][] {
  const rows = puts.map(({ query, decode, removals }) => [...toRow(query, decode), removals]);
  return [...ALL_COLUMNS, "removals"].map((_, index) => rows.map((row) => row[index]));
}
