import { DatabaseFileLostError } from "./sqlite-file.ts";

const LOST_SQLITE = /^SQLITE_(CORRUPT|NOTADB|READONLY_DBMOVED)/;
const LOST_TABLE = /no such (table|column)|has no column named/;
const BUSY_SQLITE = /^SQLITE_BUSY/;
/** Undefined table, undefined column, invalid schema name. */
const LOST_POSTGRES = new Set(["42P01", "42703", "3F000"]);
const LOCK_NOT_AVAILABLE = "55P03";
/** A lock timeout, a deadlock, or a serialization failure. */
const TRANSIENT_POSTGRES = new Set([LOCK_NOT_AVAILABLE, "40P01", "40001"]);
/** The object exists already: another replica has run the same migration. */
const MIGRATED_MEANWHILE = new Set(["42P07", "42701", "23505"]);
/** A prepared statement is missing or exists already: the connection leads to a pooler, not to the server. */
const FOREIGN_STATEMENT = new Set(["26000", "42P05"]);

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

/** Whether the same transaction may succeed in PostgreSQL now. */
export function isPostgresTransient(error: unknown): boolean {
  return chainOf(error).some((link) => TRANSIENT_POSTGRES.has(driverCodeOf(link)));
}

/** Whether PostgreSQL gave up waiting for a lock. */
export function isPostgresLockTimeout(error: unknown): boolean {
  return chainOf(error).some((link) => driverCodeOf(link) === LOCK_NOT_AVAILABLE);
}

/** Whether a migration failed in PostgreSQL because another process ran it. */
export function isPostgresMigrated(error: unknown): boolean {
  return isPostgresTransient(error) || chainOf(error).some((link) => MIGRATED_MEANWHILE.has(driverCodeOf(link)));
}

/** Whether prepared statements do not work because a pooler shares the server's connections. */
export function isPostgresPooled(error: unknown): boolean {
  return chainOf(error).some((link) => FOREIGN_STATEMENT.has(driverCodeOf(link)));
}

/**
 * Why PostgreSQL refuses a connection or the tables, by error code. Retrying does not help until the operator fixes it.
 */
const REFUSALS: Readonly<Record<string, string>> = {
  "28P01": "PostgreSQL refuses the password",
  "28000": "PostgreSQL refuses the user",
  "3D000": "the database does not exist",
  "3F000": "the schema does not exist",
  "42501": "the user lacks a right; it needs CONNECT on the database, and USAGE and CREATE on the schema",
};

/** What the operator must fix before PostgreSQL can be used; undefined when retrying may help. */
export function findPostgresRefusal(error: unknown): string | undefined {
  return chainOf(error)
    .map((link) => REFUSALS[driverCodeOf(link)])
    .find((reason) => reason !== undefined);
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
