import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import type { ConnectionOptions } from "node:tls";
import { setTimeout } from "node:timers/promises";

/** Parameters that are ours, not the driver's. */
const OWN_PARAMETERS = ["pgbouncer", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword"] as const;

const DEFAULT_PORT = 5432;
/** Asks a server whether it offers TLS: eight bytes with a fixed number. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const OFFERS_TLS = "S";
const PROBE_TIMEOUT_MS = 1_000;
const END_TIMEOUT_MS = 1_000;

/** The part of the driver's pool options used here. */
export interface PoolOptions {
  readonly max: number;
  readonly connectionTimeoutMillis: number;
  /** How long the client waits for the answer to a query, in ms. */
  readonly query_timeout: number;
}

export interface PostgresQuery {
  /** Statements with a name are prepared once on each connection. */
  readonly name?: string | undefined;
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly rowMode?: "array";
  /** How long to wait for the answer, in ms. */
  readonly query_timeout?: number;
}

export interface PostgresSession {
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[][] }>;
  release(destroy: boolean): void;
}

/** The part of MikroORM that is closed here. */
interface Closable {
  close(): Promise<void>;
}

/** The part of MikroORM's pool used here. */
export interface PostgresPool {
  /** A connection on which the query fails is destroyed. */
  query(query: PostgresQuery): Promise<{ readonly rows: unknown[][] }>;
  connect(): Promise<PostgresSession>;
  /** The number of idle connections. */
  readonly idleCount: number;
  /** Whether {@link end} was called. */
  readonly ending: boolean;
  /** Closes all connections. */
  end(): Promise<void>;
}

/**
 * MikroORM's options for a connection to this URL. The driver's own reading of `sslmode` differs from libpq's.
 *
 * @throws the file system's error when a certificate cannot be read.
 */
export async function postgresOptions(url: string, pool: Partial<PoolOptions> = {}) {
  const stripped = new URL(url);
  OWN_PARAMETERS.forEach((name) => stripped.searchParams.delete(name));
  return {
    dbName: decodeURIComponent(stripped.pathname.slice(1)) || "postgres",
    ensureDatabase: false,
    driverOptions: { connectionString: stripped.href, ssl: await tlsOptions(new URL(url)), ...pool },
  } as const;
}

/** Whether the URL says that a pooler shares server connections, so that they keep no prepared statements. */
export function hasPgBouncer(url: string): boolean {
  return new URL(url).searchParams.get("pgbouncer") === "true";
}

/**
 * Runs work in a transaction. After any failure the connection is destroyed, which ends the transaction and releases
 * its locks.
 */
export async function inTransaction<Result>(
  pool: PostgresPool,
  begin: string,
  work: (session: PostgresSession) => Promise<Result>,
): Promise<Result> {
  const session = await pool.connect();
  let isCommitted = false;
  try {
    await session.query({ text: begin });
    const result = await work(session);
    await session.query({ text: "commit" });
    isCommitted = true;
    return result;
  } finally {
    session.release(!isCommitted);
  }
}

/**
 * Closes MikroORM and its pool. MikroORM ends the pool only if it has made a query itself; idle connections would then
 * keep the process alive for ten seconds.
 */
export async function closePostgres(orm: Closable, pool: PostgresPool): Promise<void> {
  await orm.close();
  if (!pool.ending) {
    // A server that has lost its power does not answer.
    await Promise.race([pool.end(), setTimeout(END_TIMEOUT_MS, undefined, { ref: false })]);
  }
}

/**
 * Destroys the idle connections. After a server has lost its power, each of them would have to fail before a query
 * reaches the standby that takes over its address.
 */
export async function destroyIdle(pool: PostgresPool): Promise<void> {
  const sessions = await Promise.allSettled(Array.from({ length: pool.idleCount }, () => pool.connect()));
  for (const session of sessions) {
    if (session.status === "fulfilled") {
      session.value.release(true);
    }
  }
}

/** The driver's `ssl`, for the modes of libpq. `allow` is treated as `prefer`, which is the default. */
async function tlsOptions({ searchParams, hostname, port }: URL): Promise<ConnectionOptions | false> {
  const mode = searchParams.get("sslmode") ?? "prefer";
  const host = searchParams.get("host") ?? decodeURIComponent(hostname).replace(/^\[|\]$/g, "");
  const isSocket = host === "" || host.startsWith("/");
  if (isSocket || mode === "disable") {
    return false;
  }
  const isOptional = mode === "allow" || mode === "prefer";
  if (isOptional && !(await offersTls(host, Number(searchParams.get("port") ?? (port || DEFAULT_PORT))))) {
    return false;
  }
  const [ca, cert, key] = await Promise.all(
    ["sslrootcert", "sslcert", "sslkey"].map((name) => readParameter(searchParams.get(name))),
  );
  const passphrase = searchParams.get("sslpassword") ?? undefined;
  return {
    ca,
    cert,
    key,
    passphrase,
    // With a root certificate, `require` means `verify-ca`.
    rejectUnauthorized: !isOptional && (mode !== "require" || ca !== undefined),
    ...(mode !== "verify-full" && { checkServerIdentity: () => undefined }),
  };
}

/** @param path null or `system` stands for the authorities that Node trusts. */
async function readParameter(path: string | null): Promise<Buffer | undefined> {
  return path === null || path === "system" ? undefined : readFile(path);
}

/** Whether a server offers TLS. False if it cannot be reached: the connection itself will report that. */
async function offersTls(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  const expired = new AbortController();
  try {
    const answer = once(socket, "data", { signal: expired.signal }).then(([data]) => String(data));
    socket.write(SSL_REQUEST);
    const late = setTimeout(PROBE_TIMEOUT_MS, "", { signal: expired.signal });
    return (await Promise.race([answer, late])).startsWith(OFFERS_TLS);
  } catch {
    return false;
  } finally {
    expired.abort();
    socket.on("error", () => undefined).destroy();
  }
}
