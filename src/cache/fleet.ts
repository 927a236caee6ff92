import { randomUUID } from "node:crypto";
import { StoreUnavailableError } from "../vehicle/errors.ts";
import type { Fleet, RequestRate } from "../vehicle/fleet.ts";
import type { Vin } from "../vehicle/vin.ts";
import { sleep } from "../vehicle/wait-for.ts";
import { ReadQueue } from "./read-queue.ts";

/** A statement for both databases. Its parameters are `$1`, `$2`, ..., each used once and in this order. */
export interface FleetStatement {
  readonly sqlite: string;
  readonly postgres: string;
}

/** A database that runs statements of the fleet, each in its own transaction. */
export interface FleetDatabase {
  /** @throws StoreUnavailableError when the database does not answer. */
  coordinate(statement: FleetStatement, values: readonly (string | number)[]): Promise<unknown[][]>;
}

const US_PER_MS = 1_000;
const LEASE_MS = 5_000;
const RENEW_EVERY_MS = 1_500;
/** How often a process checks whether a lease has ended. */
const POLL_MS = 150;
const MEMBER_MS = 60_000;
const COUNT_EVERY_MS = 10_000;
/** The longest interval between probes. A later time means that a clock was set back. */
const MAX_PROBE_MS = 5 * 60_000;
const MAX_VINS = 200;

/** The SQL that differs between SQLite and PostgreSQL. */
interface Dialect {
  /** In us since the epoch, by the database's clock. */
  readonly now: string;
  readonly later: string;
  readonly earlier: string;
  /** A table `listed` with a column `value`, from a JSON array. */
  readonly listed: (parameter: string) => string;
}

const SQLITE: Dialect = {
  now: "cast(unixepoch('subsec') * 1000000 as integer)",
  later: "max",
  earlier: "min",
  listed: (parameter) => `json_each(${parameter}) as listed`,
};
const POSTGRES: Dialect = {
  // Not `now()`: a statement may have waited for another process.
  now: "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
  later: "greatest",
  earlier: "least",
  listed: (parameter) => `json_array_elements_text(${parameter}::json) as listed (value)`,
};

/** $1: time per request, $2: window less that time, $3: window. Returns what is left of the window. */
const TAKE = statement(
  ({ now, later }) => `update fleet_budget set spent_until = ${later}(spent_until, ${now}) + $1
    where id = 1 and spent_until <= ${now} + $2 returning ${now} + $3 - spent_until`,
);
/** $1, $2: window. A time beyond the window means that the clock was set back; it is cut to the window. */
const REMAINING = statement(
  ({ now, earlier }) => `update fleet_budget set spent_until = ${earlier}(spent_until, ${now} + $1)
    where id = 1 returning ${now} + $2 - spent_until`,
);
/** $1: window less one request. */
const DRAIN = statement(
  ({ now, later }) => `update fleet_budget set spent_until = ${later}(spent_until, ${now} + $1) where id = 1`,
);
/** $1: interval. */
const PROBE = statement(
  ({ now }) => `update fleet_budget set probe_at = ${now} + $1
    where id = 1 and not probe_at between ${now} and ${now} + ${MAX_PROBE_MS * US_PER_MS} returning id`,
);
const END_PROBING = statement(() => "update fleet_budget set probe_at = 0 where id = 1");
/** $1: holder, $2: VINs. Returns the VINs that the holder has now. */
const LEASE = statement(
  ({ now, listed }) => `insert into fleet_leases (vin, holder, expires_at)
    select value, $1, ${now} + ${LEASE_MS * US_PER_MS} from ${listed("$2")} where true order by value
    on conflict (vin) do update set holder = excluded.holder, expires_at = excluded.expires_at
    where fleet_leases.holder = excluded.holder or fleet_leases.expires_at <= ${now} returning vin`,
);
/** $1: holder, $2: VINs. */
const RELEASE = statement(
  ({ listed }) => `delete from fleet_leases where holder = $1 and vin in (select value from ${listed("$2")})`,
);
const ANNOUNCE = statement(
  ({ now }) => `insert into fleet_members (id, seen_at) values ($1, ${now})
    on conflict (id) do update set seen_at = excluded.seen_at`,
);
const DELETE_EXPIRED = [
  statement(({ now }) => `delete from fleet_members where seen_at < ${now} - ${MEMBER_MS * US_PER_MS}`),
  statement(({ now }) => `delete from fleet_leases where expires_at < ${now} - ${MEMBER_MS * US_PER_MS}`),
];
const COUNT = statement(() => "select count(*) from fleet_members");

/** Coordinates the processes that share a cache, through the cache's database alone. */
export class DatabaseFleet implements Fleet, Disposable {
  readonly #database: FleetDatabase;
  readonly #id = randomUUID();
  /** Runs one statement at a time, so that statements for the same VIN stay in order. */
  readonly #leases = new ReadQueue<LeaseRequest, boolean>({
    maxKeys: MAX_VINS,
    maxRunning: 1,
    read: (requests) => this.#change(requests),
  });
  /** How many callers in this process have, or wait for, the lease of a VIN. */
  readonly #callers = new Map<Vin, number>();
  readonly #renewal: NodeJS.Timeout;
  #countedAt = -Infinity;
  #size = 1;

  constructor(database: FleetDatabase) {
    this.#database = database;
    this.#renewal = setInterval(() => void this.#renew(), RENEW_EVERY_MS).unref();
  }

  get size(): number {
    return this.#size;
  }

  async lease(vin: Vin, signal: AbortSignal): Promise<() => void> {
    this.#callers.set(vin, (this.#callers.get(vin) ?? 0) + 1);
    try {
      while (!(await this.#isLeased(vin))) {
        await sleep(POLL_MS, signal);
      }
    } catch (error) {
      this.#release(vin);
      throw error;
    }
    return () => this.#release(vin);
  }

  async takeRequest(rate: RequestRate): Promise<number> {
    await this.#countMembers();
    const { stepUs, windowUs } = toTimes(rate);
    const left = await this.#read(TAKE, [stepUs, windowUs - stepUs, windowUs]);
    if (left !== undefined) {
      return Math.floor(left / stepUs);
    }
    const remaining = await this.#read(REMAINING, [windowUs, windowUs]);
    if (remaining === undefined) {
      throw new StoreUnavailableError("the cache database has lost the budget");
    }
    return -Math.max(1, Math.ceil((stepUs - remaining) / US_PER_MS));
  }

  async drainBudget(rate: RequestRate): Promise<void> {
    const { stepUs, windowUs } = toTimes(rate);
    await this.#tryToRun(DRAIN, [windowUs - stepUs]);
  }

  async mayProbe(intervalMs: number): Promise<boolean> {
    const rows = await this.#tryToRun(PROBE, [Math.ceil(intervalMs * US_PER_MS)]);
    return rows === undefined || rows.length > 0;
  }

  async endProbing(): Promise<void> {
    await this.#tryToRun(END_PROBING, []);
  }

  /** Ends the renewal of leases, which then expire. */
  [Symbol.dispose](): void {
    clearInterval(this.#renewal);
  }

  /** True without the database: each process then asks vPIC on its own. */
  async #isLeased(vin: Vin): Promise<boolean> {
    return this.#leases.read({ vin, isWanted: true }).catch(() => true);
  }

  #release(vin: Vin): void {
    const others = (this.#callers.get(vin) ?? 1) - 1;
    if (others > 0) {
      this.#callers.set(vin, others);
    } else {
      this.#callers.delete(vin);
      // If this fails, the lease expires.
      this.#leases.read({ vin, isWanted: false }).catch(() => undefined);
    }
  }

  /** @returns whether each VIN is leased by this process now. */
  async #change(requests: readonly LeaseRequest[]): Promise<boolean[]> {
    const released = requests.filter(({ isWanted }) => !isWanted).map(({ vin }) => vin);
    if (released.length > 0) {
      await this.#database.coordinate(RELEASE, [this.#id, JSON.stringify(released)]);
    }
    // A renewal may have been overtaken by the release.
    const wanted = requests.filter(({ vin, isWanted }) => isWanted && this.#callers.has(vin)).map(({ vin }) => vin);
    const rows =
      wanted.length === 0
        ? []
        : await this.#database.coordinate(LEASE, [this.#id, JSON.stringify([...new Set(wanted)])]);
    const leased = new Set(rows.map(([vin]) => vin));
    return requests.map(({ vin }) => leased.has(vin));
  }

  /** Takes every lease again, so that one that this process has only assumed becomes real when the database is back. */
  async #renew(): Promise<void> {
    await Promise.all(this.#callers.keys().map((vin) => this.#isLeased(vin)));
  }

  async #countMembers(): Promise<void> {
    const now = performance.now();
    if (now - this.#countedAt >= COUNT_EVERY_MS) {
      this.#countedAt = now;
      await this.#database.coordinate(ANNOUNCE, [this.#id]);
      for (const deletion of DELETE_EXPIRED) {
        await this.#database.coordinate(deletion, []);
      }
      this.#size = Math.max(1, (await this.#read(COUNT, [])) ?? 1);
    }
  }

  /** The number that a statement returns; undefined when it finds no row. */
  async #read(query: FleetStatement, values: readonly (string | number)[]): Promise<number | undefined> {
    const [row] = await this.#database.coordinate(query, values);
    return row === undefined ? undefined : Number(row[0]);
  }

  async #tryToRun(query: FleetStatement, values: readonly (string | number)[]): Promise<unknown[][] | undefined> {
    return this.#database.coordinate(query, values).catch(() => undefined);
  }
}

interface LeaseRequest {
  readonly vin: Vin;
  /** Whether to lease it; otherwise it is released. */
  readonly isWanted: boolean;
}

function toTimes({ requestsPerSecond, burst }: RequestRate): { readonly stepUs: number; readonly windowUs: number } {
  const stepUs = Math.ceil((1_000 * US_PER_MS) / requestsPerSecond);
  return { stepUs, windowUs: Math.floor(burst * stepUs) };
}

function statement(write: (dialect: Dialect) => string): FleetStatement {
  return { sqlite: write(SQLITE).replaceAll(/\$\d/g, "?"), postgres: write(POSTGRES) };
}
