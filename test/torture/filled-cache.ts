import Database from "better-sqlite3";

import { benchRows, benchVin } from "../bench/export-rows.ts";
import type { TestRow } from "../export/vehicle-table.ts";

const BATCH_ROWS = 2000;

/** The cache of a running service, written to from outside it. */
export class FilledCache implements Disposable {
  readonly #database: Database.Database;
  readonly #update: Database.Statement;
  readonly #rows: number;
  #next = 0;

  /** Fills the cache with so many vehicles that have little in common, and leaves its log empty. */
  constructor(path: string, rows: number) {
    this.#database = new Database(path);
    const put = this.#database.prepare(
      `insert or replace into vehicles values (?, 0, ?, ?, ?, ?, ?, 0, ?, ?, '', '', '', '', ?)`,
    );
    const putAll = this.#database.transaction((batch: readonly TestRow[]) => {
      for (const { vin, make, model, modelYear, bodyClass, source, verdictCodes, attributes } of batch) {
        put.run(vin, make, model, modelYear, bodyClass, source, Date.now(), verdictCodes, JSON.stringify(attributes));
      }
    });
    let batch: TestRow[] = [];
    for (const row of benchRows(rows, true)) {
      batch.push(row);
      if (batch.length === BATCH_ROWS) {
        putAll(batch);
        batch = [];
      }
    }
    putAll(batch);
    this.#database.pragma("wal_checkpoint(TRUNCATE)");
    this.#rows = rows;
    this.#update = this.#database.prepare("update vehicles set attributes = attributes || ' ' where vin = ?");
  }

  /** Writes so many of the vehicles again. */
  rewrite(count: number): void {
    this.#database.transaction(() => {
      for (let index = 0; index < count; index++) {
        this.#update.run(benchVin(this.#next++ % this.#rows));
      }
    })();
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
