import type { Database, Statement } from "better-sqlite3";

import type { RunStatement } from "./vehicle-database.ts";
import type { Cell } from "./vehicle-row.ts";

/**
 * Runs statements on the connection that MikroORM holds, each prepared once: preparing a put costs more than the put.
 *
 * @param client used for few different statements, since all of them are kept
 */
export function createSqliteWrites(client: Database): RunStatement {
  const prepared = new Map<string, Statement<Cell[]>>();
  return async (text, parameters) => {
    let statement = prepared.get(text);
    if (statement === undefined) {
      statement = client.prepare<Cell[]>(text);
      prepared.set(text, statement);
    }
    return statement.run(...parameters).changes;
  };
}
