import { setImmediate } from "node:timers/promises";

import type { Database, Statement } from "better-sqlite3";

import type { CachedVehicle, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { SELECT_GENERATION } from "./statements.ts";
import type { VehicleReads } from "./vehicle-database.ts";
import { columnsOf, fromRow, KEY_COLUMNS, toKey } from "./vehicle-row.ts";

/** Reads are synchronous: after so many rows, about 2 ms, others get their turn. */
const ROWS_PER_TURN = 256;

type FindStatement = Statement<[vin: string, modelYearHint: number], unknown[]>;

/** Statements prepared once on the connection that MikroORM holds. */
export class SqliteReads implements VehicleReads {
  readonly #statements: Readonly<Record<View, FindStatement>>;
  readonly #generation: Statement<[vin: string], [generation: number]>;

  constructor(client: Database) {
    this.#statements = { basic: prepareFind(client, "basic"), full: prepareFind(client, "full") };
    this.#generation = client.prepare<[string], [number]>(SELECT_GENERATION).raw(true);
  }

  async find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    return this.#read(query, view);
  }

  // One row at a time: a prepared statement is as fast a row as any gathered query here.
  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    const found: (CachedVehicle | undefined)[] = [];
    for (const query of queries) {
      if (found.length > 0 && found.length % ROWS_PER_TURN === 0) {
        await setImmediate();
      }
      found.push(this.#read(query, view));
    }
    return found;
  }

  async removalsOf(vin: Vin): Promise<number> {
    return this.#generation.get(vin)?.[0] ?? Number.NaN;
  }

  #read(query: VehicleQuery, view: View): CachedVehicle | undefined {
    const [vin, hint] = toKey(query);
    const row = this.#statements[view].get(vin, hint);
    return row === undefined ? undefined : fromRow(query, row);
  }
}

function prepareFind(client: Database, view: View): FindStatement {
  const condition = KEY_COLUMNS.map((column) => `${column} = ?`).join(" and ");
  return client
    .prepare<[string, number], unknown[]>(`select ${columnsOf(view).join(", ")} from vehicles where ${condition}`)
    .raw(true);
}
