import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { setImmediate, setTimeout } from "node:timers/promises";
import { MikroORM } from "@mikro-orm/sqlite";
import type { Database, Statement } from "better-sqlite3";
import { makeDirectory } from "../files/make-directory.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { readSqliteContents, type StoreContents } from "./contents.ts";
import { isSqliteBusy, isSqliteLost } from "./database-errors.ts";
import { mikroOptions } from "./mikro-options.ts";
import type { DatabaseStore } from "./resilient-store.ts";
import type { FleetStatement } from "./fleet.ts";
import { identify, isEmpty, quarantine, SqliteFile } from "./sqlite-file.ts";
import { generationOf, INSERT_REMOVALS, INSERT_VEHICLES, OR_RENEW, PING, UNLESS_OUTRANKED } from "./statements.ts";
import { sweep } from "./sweep.ts";
import { ALL_COLUMNS, type Cell, columnsOf, fromRow, KEY_COLUMNS, toKey, toRow } from "./vehicle-row.ts";
import { WalBudget } from "./wal-budget.ts";
import { type Put, type WriteBatch, type WriteOutcome, WriteQueue } from "./write-queue.ts";

/**
 * The file is not mapped into memory. If another process truncated it, reading the mapping would end this process.
 *
 * With `synchronous=NORMAL` a commit survives the end of the process, including `kill -9`. Commits that must survive a
 * loss of power are flushed as well.
 */
const PRAGMAS = ["synchronous = NORMAL", "trusted_schema = OFF"];

/** SQLite's own wait for a lock would block the event loop, so the code below waits and retries. */
const BUSY_TIMEOUT_MS = 0;
const BUSY_PAUSE_MS = 5;
/** How long a write waits for the lock. Puts fail sooner. */
const LOCK_TIMEOUT_MS = 1_000;

/** Attempts to open a file that other processes are also opening, and the pause between them. */
const OPENING_ATTEMPTS = 20;
const OPENING_PAUSE_MS = 50;

/** Reads are synchronous. After this many rows, 1 to 2 ms, other work gets its turn. */
const ROWS_PER_TURN = 256;

export interface SqliteStoreOptions {
  readonly path: string;
  readonly logger: Logger;
  /** The time in ms since the epoch. */
  readonly now: () => number;
  /** How long a put waits for room in the log or another process's lock, in ms. */
  readonly putTimeoutMs: number;
}

/** The cache in a SQLite file. Statements are prepared once, on MikroORM's connection. */
export class SqliteStore implements DatabaseStore {
  readonly #orm: MikroORM;
  readonly #client: Database;
  readonly #file: SqliteFile;
  readonly #budget: WalBudget;
  readonly #options: SqliteStoreOptions;
  readonly #queue: WriteQueue;
  readonly #find: Readonly<Record<View, Statement<[vin: string, modelYearHint: number], unknown[]>>>;
  readonly #findMany: Readonly<Record<View, Statement<[keys: string], unknown[]>>>;
  readonly #generation: Statement<[vin: string], number>;
  readonly #put: Statement<Cell[]>;
  readonly #recordRemoval: Statement<[vin: string, vin: string, removedAt: number]>;
  readonly #delete: Statement<[vin: string]>;
  readonly #pings: readonly Statement<[]>[];
  /** The statements of the fleet that have run. */
  readonly #coordination = new Map<string, Statement<unknown[], unknown[]>>();
  readonly #begin: Statement<[]>;
  readonly #commit: Statement<[]>;

  private constructor(orm: MikroORM, client: Database, file: SqliteFile, options: SqliteStoreOptions) {
    this.#orm = orm;
    this.#client = client;
    this.#file = file;
    this.#budget = new WalBudget(client, () => file.logBytes);
    this.#options = options;
    this.#queue = new WriteQueue({ commit: (batch) => this.#write(batch), timeoutMs: options.putTimeoutMs });
    this.#find = { basic: prepareFind(client, "basic"), full: prepareFind(client, "full") };
    this.#findMany = { basic: prepareFindMany(client, "basic"), full: prepareFindMany(client, "full") };
    this.#generation = client.prepare<[string], number>(`select ${generationOf("?")}`).pluck(true);
    this.#put = client.prepare<Cell[]>(
      `${INSERT_VEHICLES} select ${ALL_COLUMNS.map(() => "?").join(", ")} where ${generationOf("?")} = ?
      ${UNLESS_OUTRANKED}`,
    );
    this.#recordRemoval = client.prepare(
      `${INSERT_REMOVALS} select ?, ${generationOf("?")} + 1, ? where true ${OR_RENEW}`,
    );
    this.#delete = client.prepare("delete from vehicles where vin = ?");
    this.#pings = PING.map((ping) => client.prepare<[]>(ping));
    this.#begin = client.prepare("begin immediate");
    this.#commit = client.prepare("commit");
  }

  /** Opens a file. Creates it, its directory and its tables if they are missing. */
  static async open(options: SqliteStoreOptions): Promise<SqliteStore> {
    const { path, logger } = options;
    await makeDirectory(dirname(path));
    const { migrations, ...others } = mikroOptions(logger);
    await using opened = new AsyncDisposableStack();
    const orm = await MikroORM.init({
      ...others,
      migrations: { ...migrations, transactional: false, allOrNothing: false },
      dbName: path,
      driverOptions: { timeout: BUSY_TIMEOUT_MS },
    });
    opened.defer(() => orm.close());
    const client = await orm.em.getConnection().getNativeClient();
    setPragmas(client);
    await migrateAlone(client, orm);
    const store = new SqliteStore(orm, client, opened.use(await SqliteFile.of(client)), options);
    opened.move();
    return store;
  }

  find(query: VehicleQuery, view: View): CachedVehicle | undefined {
    const row = this.#find[view].get(query.vin, query.modelYear ?? 0);
    return row === undefined ? undefined : fromRow(query, row);
  }

  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    const found: (CachedVehicle | undefined)[] = [];
    for (let start = 0; start < queries.length; start += ROWS_PER_TURN) {
      if (start > 0) {
        await setImmediate();
      }
      found.push(...this.#readMany(queries.slice(start, start + ROWS_PER_TURN), view));
    }
    return found;
  }

  async removalsOf(vin: Vin): Promise<number | undefined> {
    return this.#generation.get(vin);
  }

  put(query: VehicleQuery, decode: Decode, removals: number): Promise<boolean> {
    return this.#queue.put({ query, decode, removals });
  }

  async remove(vin: Vin): Promise<boolean> {
    const removed = await this.#queue.remove(vin);
    await this.#file.flush();
    // A removal in a lost file must not be acknowledged, because other processes use a new file.
    this.#file.assertInPlace();
    return removed;
  }

  async sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    if (!(await this.#budget.waitForRoom())) {
      return 0;
    }
    return whenUnlocked(() => sweep(this.#orm.em.fork(), cutoffs, limit, this.#options.now()));
  }

  contents(): Promise<StoreContents> {
    return readSqliteContents(this.#client);
  }

  coordinate({ sqlite }: FleetStatement, values: readonly (string | number)[]): Promise<unknown[][]> {
    const write = (): unknown[][] => {
      this.#file.assertInPlace();
      const prepared = this.#coordination.get(sqlite) ?? this.#client.prepare<unknown[], unknown[]>(sqlite);
      this.#coordination.set(sqlite, prepared);
      if (!prepared.reader) {
        prepared.run(...values);
        return [];
      }
      return prepared.raw(true).all(...values);
    };
    return whenUnlocked(write, this.#options.putTimeoutMs);
  }

  async ping(): Promise<void> {
    this.#file.assertInPlace();
    this.#pings.forEach((statement) => statement.all());
  }

  async discard(): Promise<void> {
    await this[Symbol.asyncDispose]();
    logQuarantine(await this.#file.quarantine(this.#options.now()), this.#options.logger);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.idle();
    await this.#orm.close();
    await this.#file[Symbol.asyncDispose]();
  }

  #readMany(queries: readonly VehicleQuery[], view: View): (CachedVehicle | undefined)[] {
    const keys = queries.map((query) => toKey(query).join(""));
    const rows = this.#findMany[view].all(JSON.stringify(keys));
    return queries.map((query, index) => fromRow(query, rows[index] ?? []));
  }

  #write({ puts, removals }: WriteBatch): WriteOutcome | Promise<WriteOutcome> {
    if (puts.length > 0 && !this.#budget.hasRoom()) {
      return this.#budget.waitForRoom().then((hasRoom) => this.#commitBatch(hasRoom ? puts : [], removals));
    }
    return this.#commitBatch(puts, removals);
  }

  #commitBatch(puts: readonly Put[], removals: readonly Vin[]): WriteOutcome | Promise<WriteOutcome> {
    try {
      return this.#inTransaction(puts, removals);
    } catch (error) {
      if (!isSqliteBusy(error)) {
        throw error;
      }
      return whenUnlocked(() => this.#inTransaction(puts, removals));
    }
  }

  #inTransaction(puts: readonly Put[], removals: readonly Vin[]): WriteOutcome {
    this.#file.assertInPlace();
    const [first] = puts;
    if (first !== undefined && puts.length === 1 && removals.length === 0) {
      // A single statement is its own transaction, which costs less.
      return { removed: [], stored: [this.#putNow(first)] };
    }
    this.#begin.run();
    try {
      const removed = removals.map((vin) => this.#removeNow(vin));
      const stored = puts.map((put) => this.#putNow(put));
      this.#commit.run();
      return { removed, stored };
    } finally {
      if (this.#client.inTransaction) {
        this.#client.exec("rollback");
      }
    }
  }

  #putNow({ query, decode, removals }: Put): boolean {
    return this.#put.run(...toRow(query, decode), query.vin, removals).changes > 0;
  }

  #removeNow(vin: Vin): boolean {
    this.#recordRemoval.run(vin, vin, this.#options.now());
    return this.#delete.run(vin).changes > 0;
  }
}

/** Opens the store in a SQLite file. An unusable file is renamed, and a new one is created. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const { path, logger, now } = options;
  const identity = identify(path);
  if (isEmpty(path) && existsSync(`${path}-wal`)) {
    // The file must have been emptied, because SQLite writes the first page of a new file before its log.
    logQuarantine(await quarantine(path, identity, now()), logger);
  }
  try {
    return await openWhenUnlocked(options);
  } catch (error) {
    if (!isSqliteLost(error)) {
      throw error;
    }
    logger.error("the cache database is unusable; replacing it", { err: error });
    logQuarantine(await quarantine(path, identity, now()), logger);
    return openWhenUnlocked(options);
  }
}

async function openWhenUnlocked(options: SqliteStoreOptions): Promise<SqliteStore> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await SqliteStore.open(options);
    } catch (error) {
      if (!isSqliteBusy(error) || attempt === OPENING_ATTEMPTS) {
        throw error;
      }
      await setTimeout(OPENING_PAUSE_MS);
    }
  }
}

function logQuarantine(path: string | undefined, logger: Logger): void {
  if (path !== undefined) {
    logger.warn("the unusable database was renamed", { file: basename(path) });
  }
}

/** Writes, and retries while another process holds the lock. */
async function whenUnlocked<Result>(
  write: () => Result | Promise<Result>,
  timeoutMs: number = LOCK_TIMEOUT_MS,
): Promise<Result> {
  for (let waitedMs = 0; ; waitedMs += BUSY_PAUSE_MS) {
    try {
      return await write();
    } catch (error) {
      if (!isSqliteBusy(error) || waitedMs >= timeoutMs) {
        throw error;
      }
      await setTimeout(BUSY_PAUSE_MS);
    }
  }
}

function setPragmas(client: Database): void {
  if (client.pragma("journal_mode = WAL", { simple: true }) !== "wal") {
    throw new Error("the file system of the database does not support write-ahead logging");
  }
  for (const pragma of PRAGMAS) {
    client.pragma(pragma);
  }
}

/** Runs the migrations in one transaction, which holds the write lock from its beginning. */
async function migrateAlone(client: Database, orm: MikroORM): Promise<void> {
  client.exec("begin immediate");
  try {
    await orm.migrator.up();
    client.exec("commit");
  } finally {
    if (client.inTransaction) {
      client.exec("rollback");
    }
  }
}

function prepareFind(client: Database, view: View): Statement<[vin: string, modelYearHint: number], unknown[]> {
  const condition = KEY_COLUMNS.map((column) => `${column} = ?`).join(" and ");
  return client
    .prepare<[string, number], unknown[]>(`select ${columnsOf(view).join(", ")} from vehicles where ${condition}`)
    .raw(true);
}

/**
 * Returns one row for each key of a JSON array, in its order; the row has nulls if there is no entry. A key is a VIN of
 * 17 characters followed by the hint. This costs half as much as one query per row.
 */
function prepareFindMany(client: Database, view: View): Statement<[keys: string], unknown[]> {
  return client
    .prepare<[string], unknown[]>(
      `select ${columnsOf(view).join(", ")} from json_each(?) as asked left join vehicles
      on vin = substr(asked.value, 1, 17) and model_year_hint = cast(substr(asked.value, 18) as integer)`,
    )
    .raw(true);
}
