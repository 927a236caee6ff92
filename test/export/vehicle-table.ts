import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import Database from "better-sqlite3";

import type { DatabaseLocation } from "../../src/cache/database-url.ts";
import { SqliteStore } from "../../src/cache/sqlite-store.ts";
import { columnOf, PROPERTIES, type VehicleProperty } from "../../src/cache/vehicle-entity.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** A row of the cache. Missing members get a default. */
export interface TestRow {
  readonly vin: string;
  readonly modelYearHint?: number;
  readonly make?: string;
  readonly model?: string;
  readonly modelYear?: string;
  readonly bodyClass?: string;
  readonly source?: "vpic" | "snapshot";
  readonly isNegative?: boolean;
  readonly decodedAt?: number;
  readonly verdictCodes?: string;
  readonly verdictText?: string;
  readonly suggestedVin?: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

const FILE_NAME = "vehicles.db";
const DEFAULTS = {
  modelYearHint: 0,
  make: "PETERBILT",
  model: "388",
  modelYear: "2014",
  bodyClass: "Truck-Tractor",
  source: "vpic",
  decodedAt: 1_700_000_000_000,
  verdictCodes: "0",
};

let emptyDatabase: Promise<Buffer> | undefined;

/** A database with the cache's tables, and a connection that writes rows without the store. */
export class VehicleTable implements AsyncDisposable {
  readonly directory: string;
  readonly location: DatabaseLocation;
  readonly database: Database.Database;
  readonly #insert: Database.Statement;
  readonly #owned: AsyncDisposableStack;

  /**
   * @param directory holds a database with the cache's tables, such as a service's.
   * @param owned disposed of after the connection is closed.
   */
  constructor(directory: string, owned = new AsyncDisposableStack()) {
    this.directory = directory;
    this.#owned = owned;
    const path = join(directory, FILE_NAME);
    this.location = { kind: "sqlite", path };
    this.database = owned.adopt(new Database(path), (database) => {
      database.close();
    });
    this.database.pragma("synchronous = NORMAL");
    this.#insert = this.database.prepare(
      `insert or replace into vehicles (${PROPERTIES.map(columnOf).join(", ")})
       values (${PROPERTIES.map(() => "?").join(", ")})`,
    );
  }

  /** An empty table in a new directory, which is removed with it. */
  static async create(): Promise<VehicleTable> {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await temporaryDirectory());
    emptyDatabase ??= createEmptyDatabase();
    await writeFile(join(path, FILE_NAME), await emptyDatabase);
    return new VehicleTable(path, stack.move());
  }

  /** Writes rows in one transaction. */
  put(rows: Iterable<TestRow>): void {
    this.database.transaction(() => {
      for (const row of rows) {
        const cells = toCells(row);
        this.#insert.run(PROPERTIES.map((property) => cells[property] ?? ""));
      }
    })();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}

async function createEmptyDatabase(): Promise<Buffer> {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, FILE_NAME);
  const store = await SqliteStore.open({ path, logger: silentLogger, now: Date.now, putTimeoutMs: 0 });
  // Closing moves the write-ahead log into the file.
  await store[Symbol.asyncDispose]();
  return readFile(path);
}

function toCells(row: TestRow): Partial<Record<VehicleProperty, string | number>> {
  return {
    ...DEFAULTS,
    ...row,
    isNegative: row.isNegative === true ? 1 : 0,
    attributes: JSON.stringify(row.attributes ?? {}),
  };
}
