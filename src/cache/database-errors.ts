import { DatabaseFileLostError } from "./sqlite-file.ts";

const LOST_SQLITE = /^SQLITE_(CORRUPT|NOTADB|READONLY_DBMOVED)/;
const LOST_TABLE = /no such (table|column)|has no column named/;
const BUSY_SQLITE = /^SQLITE_BUSY/;
const UNDEFINED_TABLE = "42P01";
/** Undefined column, invalid schema name. */
const LOST_POSTGRES = new Set([UNDEFINED_TABLE, "42703", "3F000"]);
const LOCK_NOT_AVAILABLE = "55P03";

/** Whether a SQLite file has become unusable, so that waiting does not help. */
export function isSqliteLost(error: unknown): boolean {
  return chainOf(error).some(
    (link) =>
      link instanceof DatabaseFileLostError || LOST_SQLITE.test(driverCodeOf(link)) || LOST_TABLE.test(link.message),
  );
}

/** Whether another process has locked the SQLite file. */
export function isSqliteBusy(error: unknown): boolean {
  return chainOf(error).some((link) => BUSY_SQLITE.test(driverCodeOf(link)));
}

/** Whether our tables are missing in PostgreSQL, so that the migrations must run again. */
export function isPostgresLost(error: unknown): boolean {
  return chainOf(error).some((link) => LOST_POSTGRES.has(driverCodeOf(link)));
}

/** Whether a table is missing in PostgreSQL. */
export function isPostgresTableMissing(error: unknown): boolean {
  return chainOf(error).some((link) => driverCodeOf(link) === UNDEFINED_TABLE);
}

/** Whether PostgreSQL gave up waiting for a lock. */
export function isPostgresLockTimeout(error: unknown): boolean {
  return chainOf(error).some((link) => driverCodeOf(link) === LOCK_NOT_AVAILABLE);
}

/** The error and its causes. */
function chainOf(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let link = error; link instanceof Error && !chain.includes(link); link = link.cause) {
    chain.push(link);
  }
  return chain;
}

function driverCodeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : "";
}
