import type { SqlEntityManager } from "@mikro-orm/sql";

/** Runs a statement and tells how many rows it inserted, changed or deleted. */
export async function affectedRows(
  em: SqlEntityManager,
  statement: string,
  parameters: readonly (string | number)[],
): Promise<number> {
  const result = await em.execute<{ affectedRows: number }>(statement, [...parameters], "run");
  return result.affectedRows;
}
