/** Where the cache is kept: a SQLite file of our own, or a PostgreSQL database that several replicas may share. */
export type DatabaseLocation =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: string };

const POSTGRES_SCHEMES = new Set(["postgres:", "postgresql:"]);
const SQLITE_SCHEME = "sqlite:";

/**
 * Reads `sqlite:data/vehicles.db`, `sqlite:/var/lib/vehicles.db` (also with `//` after the colon: what follows is the
 * path as it stands, relative to the working directory unless it begins with a slash) or `postgres://...`.
 *
 * @throws RangeError saying what is allowed. It never repeats the URL, which may hold a password.
 */
export function parseDatabaseUrl(url: string): DatabaseLocation {
  if (url.startsWith(SQLITE_SCHEME)) {
    const path = url.slice(SQLITE_SCHEME.length).replace(/^\/\//, "");
    if (path === "" || path.includes("\0") || path === ":memory:") {
      throw new RangeError("a SQLite database needs a file: sqlite:path/to/file.db");
    }
    return { kind: "sqlite", path };
  }
  const scheme = URL.parse(url)?.protocol;
  if (scheme !== undefined && POSTGRES_SCHEMES.has(scheme)) {
    return { kind: "postgres", url };
  }
  throw new RangeError("a database is given as sqlite:path/to/file.db or postgres://user:password@host:port/database");
}
