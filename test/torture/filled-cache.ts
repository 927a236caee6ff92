import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { benchRows, benchVin } from "../bench/export-rows.ts";
import type { TestRow } from "../export/vehicle-table.ts";
import { VehicleTable } from "../export/vehicle-table.ts";

const BATCH_ROWS = 2_000;

/** The cache of a running service, written to from outside it. */
export class FilledCache implements Disposable {
  readonly #table: VehicleTable;
  readonly #rows: number;
  #next = 0;

  /**
   * Fills the cache with so many vehicles that have nothing in common, and leaves its log empty.
   *
   * @param path that of `vehicles.db`.
   */
  constructor(path: string, rows: number) {
    this.#table = new VehicleTable(dirname(path));
    let batch: TestRow[] = [];
    for (const row of benchRows(rows, true)) {
      batch.push({ ...row, attributes: { ...row.attributes, Note: incompressible() } });
      if (batch.length === BATCH_ROWS) {
        this.#table.put(batch);
        batch = [];
      }
    }
    this.#table.put(batch);
    this.#table.database.pragma("wal_checkpoint(TRUNCATE)");
    this.#rows = rows;
  }

  /** Writes so many of the vehicles again. */
  rewrite(count: number): void {
    const { database } = this.#table;
    const update = database.prepare("update vehicles set attributes = attributes || ' ' where vin = ?");
    database.transaction(() => {
      for (let index = 0; index < count; index++) {
        update.run(benchVin(this.#next++ % this.#rows));
      }
    })();
  }

  [Symbol.dispose](): void {
    this.#table.database.close();
  }
}

/** Half a kilobyte: sockets would hold the whole of an export that is small. */
function incompressible(): string {
  return randomBytes(500).toString("hex");
}
