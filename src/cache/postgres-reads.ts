import type { CachedVehicle, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { SELECT_GENERATION } from "./statements.ts";
import type { VehicleReads } from "./vehicle-database.ts";
import { columnsOf, fromRow, KEY_COLUMNS, toKey } from "./vehicle-row.ts";

interface PostgresQuery {
  /** Statements with a name are prepared once on each connection. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly rowMode?: "array";
  readonly query_timeout?: number;
}

interface PostgresSession {
  query(query: PostgresQuery): Promise<{ rows: unknown[][] }>;
  release(destroy: boolean): void;
}

/** What is used here of the pool that MikroORM holds. */
export interface PostgresPool {
  query(query: PostgresQuery): Promise<{ rows: unknown[][] }>;
  connect(): Promise<PostgresSession>;
}

const FIND: Readonly<Record<View, string>> = { basic: selectByKey("basic"), full: selectByKey("full") };
const FIND_MANY: Readonly<Record<View, string>> = { basic: selectByKeys("basic"), full: selectByKeys("full") };
const GENERATION = SELECT_GENERATION.replace("?", "$1");

/** Named statements on the pool that MikroORM holds. */
export class PostgresReads implements VehicleReads {
  readonly #pool: PostgresPool;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    const rows = await this.#select(`find-${view}`, FIND[view], toKey(query));
    return rows[0] === undefined ? undefined : fromRow(query, rows[0]);
  }

  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    const keys = queries.map(toKey);
    const values = [keys.map(([vin]) => vin), keys.map(([, hint]) => hint)];
    const rows = await this.#select(`find-many-${view}`, FIND_MANY[view], values);
    const rowsByKey = new Map(rows.map((row) => [row.slice(0, KEY_COLUMNS.length).join(" "), row]));
    return queries.map((query, index) => {
      const row = rowsByKey.get(keys[index]?.join(" ") ?? "");
      return row === undefined ? undefined : fromRow(query, row);
    });
  }

  async removalsOf(vin: Vin): Promise<number> {
    const rows = await this.#select("removals-of", GENERATION, [vin]);
    return Number(rows[0]?.[0] ?? Number.NaN);
  }

  async #select(name: string, text: string, values: readonly unknown[]): Promise<unknown[][]> {
    const { rows } = await this.#pool.query({ name, text, values, rowMode: "array" });
    return rows;
  }
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
