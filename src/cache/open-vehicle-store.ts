import type { Logger } from "../telemetry/logger.ts";
import type { VehicleStore } from "../vehicle/vehicle.ts";
import type { StoreContents } from "./contents.ts";
import { findPostgresRefusal, isPostgresLost, isSqliteLost } from "./database-errors.ts";
import { parseDatabaseUrl } from "./database-url.ts";
import type { FleetDatabase } from "./fleet.ts";
import { openPostgresStore } from "./postgres-store.ts";
import { ResilientStore, type StoreFaults } from "./resilient-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";

export interface VehicleStoreOptions {
  /** See `parseDatabaseUrl`. */
  readonly databaseUrl: string;
  /** Maximum number of connections to PostgreSQL. Default: 10. */
  readonly databasePool?: number | undefined;
  /** Whether to fail when the database cannot be opened. Default: false. */
  readonly requireDatabase?: boolean | undefined;
  readonly logger: Logger;
  /** The time in ms since the epoch. Default: the system's. */
  readonly now?: (() => number) | undefined;
  /** Monotonic clock for pauses after faults, ms. Default: the process's. */
  readonly elapsedMs?: (() => number) | undefined;
  /**
   * How long a Lookup waits for a read from PostgreSQL before it continues without the cache, in ms. A put may take
   * five times as long. On SQLite, a put waits only for exports and for locks of other processes. Default: 100 on
   * PostgreSQL, 50 on SQLite.
   */
  readonly readTimeoutMs?: number | undefined;
}

/** The cache. Its reads and writes never fail a Lookup; only `remove` and `ping` throw StoreUnavailableError. */
export interface OpenVehicleStore extends VehicleStore, FleetDatabase, AsyncDisposable {
  /** @throws StoreUnavailableError when the database does not answer. */
  ping(): Promise<void>;
  /** See ResilientStore. */
  contents(): Promise<StoreContents | undefined>;
  /** For metrics. */
  faults(): StoreFaults;
  /** Whether the database answered the latest read or ping. It is pinged every second. */
  readonly isUp: boolean;
  /** See ResilientStore. */
  faultReporter(): (fault: unknown) => void;
}

/** The database cannot be used. The message is one line for the operator. */
class DatabaseRefusedError extends Error {
  override readonly name = "DatabaseRefusedError";

  constructor(reason: string, options: ErrorOptions) {
    super(`DATABASE_URL: ${reason}`, options);
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return `REQUIRE_DATABASE is set, and the database cannot be opened: ${cause instanceof Error ? cause.message : "unknown reason"}`;
}

const PING_EVERY_MS = 1_000;
const PUT_TIMEOUT_FACTOR = 5;
const SQLITE = { reopenAfterMs: 10_000, retryWritesAfterMs: 10_000, readTimeoutMs: 50 };
// A server may be back at any moment, and frequent retries do not harm it.
const POSTGRES = { reopenAfterMs: 1_000, retryWritesAfterMs: 1_000, readTimeoutMs: 100 };

/**
 * Opens the cache. If its database cannot be opened, the store is empty and opening is retried.
 *
 * @throws DatabaseRefusedError when retrying does not help, or the database is required.
 * @throws RangeError when the URL is not a valid database URL.
 */
export async function openVehicleStore(options: VehicleStoreOptions): Promise<OpenVehicleStore> {
  const { databaseUrl, databasePool = 10, logger, now = Date.now, elapsedMs = () => performance.now() } = options;
  const location = parseDatabaseUrl(databaseUrl);
  const { readTimeoutMs = location.kind === "sqlite" ? SQLITE.readTimeoutMs : POSTGRES.readTimeoutMs } = options;
  const putTimeoutMs = PUT_TIMEOUT_FACTOR * readTimeoutMs;
  const shared = { logger, elapsedMs, pingEveryMs: PING_EVERY_MS };
  const store =
    location.kind === "sqlite"
      ? new ResilientStore({
          ...shared,
          ...SQLITE,
          isLost: isSqliteLost,
          open: () => openSqliteStore({ path: location.path, logger, now, putTimeoutMs }),
        })
      : new ResilientStore({
          ...shared,
          ...POSTGRES,
          isLost: isPostgresLost,
          open: () => openPostgresStore({ url: location.url, databasePool, logger, now, readTimeoutMs, putTimeoutMs }),
        });
  await store.open();
  try {
    await store.ping();
  } catch (error) {
    const reason = findPostgresRefusal(error) ?? (options.requireDatabase === true ? reasonOf(error) : undefined);
    if (reason !== undefined) {
      await store[Symbol.asyncDispose]();
      throw new DatabaseRefusedError(reason, { cause: error });
    }
  }
  return store;
}
