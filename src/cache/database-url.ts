/** The location of the cache: a SQLite file, or a PostgreSQL database that replicas may share. */
export type DatabaseLocation =
  | { readonly kind: "sqlite"; readonly path: string }
  | { readonly kind: "postgres"; readonly url: string };

const POSTGRES_SCHEMES = new Set(["postgres:", "postgresql:"]);
const SQLITE_SCHEME = "sqlite:";
const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/**
 * Parses `sqlite:data/vehicles.db`, `sqlite:/var/lib/vehicles.db` or `postgres://...`. The path of a SQLite file is
 * relative to the working directory unless it begins with a slash; `//` after the colon is ignored.
 *
 * @throws RangeError that says what is expected. The message contains no part of the URL, which may have a password.
 */
export function parseDatabaseUrl(url: string): DatabaseLocation {
  if (url.startsWith(SQLITE_SCHEME)) {
    const path = url.slice(SQLITE_SCHEME.length).replace(/^\/\//, "");
    if (path === "" || path.includes("\0") || path === ":memory:") {
      throw new RangeError("a SQLite database needs a file: sqlite:path/to/file.db");
    }
    return { kind: "sqlite", path };
  }
  const parsed = URL.parse(url);
  if (parsed === null || !POSTGRES_SCHEMES.has(parsed.protocol)) {
    throw new RangeError(
      "expected sqlite:path/to/file.db or postgres://user:password@host:port/database, with special characters of the " +
        "password percent-encoded, such as %2F for /",
    );
  }
  if (isMisread(parsed)) {
    throw new RangeError(
      "special characters in user, password and database must be percent-encoded, such as %2F for /",
    );
  }
  checkParameters(parsed.searchParams);
  return { kind: "postgres", url };
}

function checkParameters(parameters: URLSearchParams): void {
  const sslMode = parameters.get("sslmode") ?? "prefer";
  if (!SSL_MODES.includes(sslMode)) {
    throw new RangeError(`sslmode: expected one of ${SSL_MODES.join(", ")}`);
  }
  if (sslMode === "verify-ca" && !parameters.has("sslrootcert")) {
    throw new RangeError("sslmode=verify-ca needs sslrootcert, the file of the authority to trust");
  }
  if (parameters.has("sslcert") !== parameters.has("sslkey")) {
    throw new RangeError("a client certificate needs both sslcert and sslkey");
  }
  if (!["true", "false"].includes(parameters.get("pgbouncer") ?? "false")) {
    throw new RangeError("pgbouncer: expected true or false");
  }
}

/**
 * Whether a password with an unescaped `/`, `?`, `#` or `%` was parsed as other parts of the URL. The driver's errors
 * contain host, port and database, and would then reveal the password.
 */
function isMisread({ username, password, pathname, search, hash }: URL): boolean {
  try {
    [username, password, pathname].forEach(decodeURIComponent);
  } catch {
    return true;
  }
  return `${pathname}${search}${hash}`.includes("@");
}
