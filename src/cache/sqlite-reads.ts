import { setImmediate } from "node:timers/promises";

import type { Database, Statement } from "better-sqlite3";

import type { CachedVehicle, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { SELECT_GENERATION } from "./statements.ts";
import type { VehicleReads } from "./vehicle-database.ts";
import { columnsOf, fromRow, KEY_COLUMNS, toKey } from "./vehicle-row.ts";

/** Reads are synchronous: after so many rows, 1 to 2 ms, others get their turn. */
const ROWS_PER_TURN = 256;

type FindStatement = Statement<[vin: string, modelYearHint: number], unknown[]>;
type FindManyStatement = Statement<[keys: string], unknown[]>;

/** Statements prepared once on the connection that MikroORM holds. */
export class SqliteReads implements VehicleReads {
  readonly #single: Readonly<Record<View, FindStatement>>;
  readonly #gathered: Readonly<Record<View, FindManyStatement>>;
  readonly #generation: Statement<[vin: string], [generation: number]>;

  constructor(client: Database) {
    this.#single = { basic: prepareFind(client, "basic"), full: prepareFind(client, "full") };
    this.#gathered = { basic: prepareFindMany(client, "basic"), full: prepareFindMany(client, "full") };
    this.#generation = client.prepare<[string], [number]>(SELECT_GENERATION).raw(true);
  }

  async find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    const [vin, hint] = toKey(query);
    const row = this.#single[view].get(vin, hint);
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

  async removalsOf(vin: Vin): Promise<number> {
    return this.#generation.get(vin)?.[0] ?? Number.NaN;
  }

  #readMany(queries: readonly VehicleQuery[], view: View): (CachedVehicle | undefined)[] {
    const keys = queries.map((query) => toKey(query).join(""));
    const rows = this.#gathered[view].all(JSON.stringify(keys));
    return queries.map((query, index) => fromRow(query, rows[index] ?? []));
  }
}

function prepareFind(client: Database, view: View): FindStatement {
  const condition = KEY_COLUMNS.map((column) => `${column} = ?`).join(" and ");
  return client
    .prepare<[string, number], unknown[]>(`select ${columnsOf(view).join(", ")} from vehicles where ${condition}`)
    .raw(true);
}

/**
 * One row for each key of a JSON array, in its order, and of nulls where there is no entry. A key is a VIN, which has 17
 * characters, with the hint at its end. Half the cost of asking for one row after the other.
 */
function prepareFindMany(client: Database, view: View): FindManyStatement {
  return client
    .prepare<[string], unknown[]>(
      `select ${columnsOf(view).join(", ")} from json_each(?) as asked left join vehicles
      on vin = substr(asked.value, 1, 17) and model_year_hint = cast(substr(asked.value, 18) as integer)`,
    )
    .raw(true);
}
