import type { Logger } from "../telemetry/logger.ts";
import { StoreUnavailableError } from "../vehicle/errors.ts";
import type { FleetDatabase, FleetStatement } from "./fleet.ts";
import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, VehicleStore, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { StoreContents } from "./contents.ts";

/** A store on an open database. Faults are thrown as the database's own errors. */
export interface DatabaseStore extends AsyncDisposable {
  /** As in VehicleStore. An answer that is ready is not wrapped in a promise. */
  find(query: VehicleQuery, view: View): CachedVehicle | undefined | Promise<CachedVehicle | undefined>;
  findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]>;
  removalsOf(vin: Vin): Promise<number | undefined>;
  put(query: VehicleQuery, decode: Decode, removals: number): Promise<boolean>;
  remove(vin: Vin): Promise<boolean>;
  sweep(cutoffs: SweepCutoffs, limit: number): Promise<number>;
  /** Counts the entries. */
  contents(): Promise<StoreContents>;
  /** As in FleetDatabase. */
  coordinate: FleetDatabase["coordinate"];
  /** @throws the database's error when it does not answer or was lost. */
  ping(): Promise<void>;
  /** Closes the database and renames its unusable files, so that the next opening creates a new one. */
  discard(): Promise<void>;
}

/** Operations that failed, or were skipped because of a fault, since the start. */
export interface StoreFaults {
  readonly reads: number;
  readonly writes: number;
  readonly removals: number;
}

export interface ResilientStoreOptions {
  /** Opens the database. Creates a new one if there is none or it is unusable. */
  readonly open: () => Promise<DatabaseStore>;
  /** Whether an error means that the database has to be discarded and opened again. */
  readonly isLost: (error: unknown) => boolean;
  /** How often the database is pinged, in ms. After a failed read, reads resume when it answers. */
  readonly pingEveryMs: number;
  /** How long writes are dropped after a fault, in ms. */
  readonly retryWritesAfterMs: number;
  /** Pause before reopening a database that failed to open or was lost again at once, in ms. */
  readonly reopenAfterMs: number;
  readonly logger: Logger;
  /** Monotonic clock, ms. */
  readonly elapsedMs: () => number;
}

/** The minimum time between two log lines about faults, in ms. */
const LOG_INTERVAL_MS = 10_000;

/**
 * A store whose faults do not fail a Lookup: a read that fails is a miss, a write that fails is dropped and counted.
 * Only `remove` and `ping` report faults, as StoreUnavailableError. A lost database is replaced. If opening fails, it
 * is retried, and callers do not wait for that.
 */
export class ResilientStore implements VehicleStore, FleetDatabase, AsyncDisposable {
  readonly #options: ResilientStoreOptions;
  readonly #reads: FaultCount;
  readonly #writes: FaultCount;
  readonly #removals: FaultCount;
  #store: DatabaseStore | undefined;
  #opening: Promise<void> | undefined;
  #pinging: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Set by a failed read, until the database answers a ping. */
  #areReadsPaused = false;
  #writesResumeAt = -Infinity;
  #triedAt = -Infinity;
  #replacedAt = -Infinity;
  #lastFault: unknown;

  constructor(options: ResilientStoreOptions) {
    this.#options = options;
    this.#reads = new FaultCount("reads of the cache fail", options);
    this.#writes = new FaultCount("writes to the cache fail", options);
    this.#removals = new FaultCount("removals from the cache fail", options);
  }

  /** Opens the database and starts watching it. Never fails: see {@link ping}. */
  async open(): Promise<void> {
    this.#timer ??= setInterval(() => this.#pingInBackground(), this.#options.pingEveryMs).unref();
    await (this.#opening ??= this.#tryToOpen());
  }

  faults(): StoreFaults {
    return { reads: this.#reads.count, writes: this.#writes.count, removals: this.#removals.count };
  }

  /** Whether the database answered the latest read or ping. */
  get isUp(): boolean {
    return this.#store !== undefined && !this.#areReadsPaused;
  }

  /**
   * For code that reads the database without this store, such as exports. Call it before reading.
   *
   * @returns a function that reports a fault. If the fault shows that the database is lost, the one that was open at
   *   the call is replaced.
   */
  faultReporter(): (fault: unknown) => void {
    const store = this.#store;
    return (fault) => {
      if (store !== undefined) {
        this.#recover(store, fault);
      }
    };
  }

  // Reads are frequent. On SQLite, each is a single function call: no promise, no closure, no reading of the clock.
  find(query: VehicleQuery, view: View): CachedVehicle | undefined | Promise<CachedVehicle | undefined> {
    const store = this.#readable();
    if (store === undefined) {
      return undefined;
    }
    try {
      const found = store.find(query, view);
      return found instanceof Promise ? found.catch((error: unknown) => this.#noteReadFault(store, error)) : found;
    } catch (error) {
      return this.#noteReadFault(store, error);
    }
  }

  async findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    const store = this.#readable();
    try {
      return store === undefined ? queries.map(() => undefined) : await store.findMany(queries, view);
    } catch (error) {
      this.#noteReadFault(store, error);
      return queries.map(() => undefined);
    }
  }

  async removalsOf(vin: Vin): Promise<number | undefined> {
    const store = this.#readable();
    try {
      return await store?.removalsOf(vin);
    } catch (error) {
      return this.#noteReadFault(store, error);
    }
  }

  async put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean> {
    if (removals === undefined || !Number.isSafeInteger(removals)) {
      return false;
    }
    const store = this.#writable();
    try {
      return (await store?.put(query, decode, removals)) ?? false;
    } catch (error) {
      this.#noteWriteFault(store, error);
      return false;
    }
  }

  async sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    const store = this.#writable();
    try {
      return (await store?.sweep(cutoffs, limit)) ?? 0;
    } catch (error) {
      this.#noteWriteFault(store, error);
      return 0;
    }
  }

  /** Figures of the cache; undefined when the database does not answer. A failure is not counted as a fault. */
  async contents(): Promise<StoreContents | undefined> {
    try {
      return await this.#store?.contents();
    } catch {
      return undefined;
    }
  }

  /** @throws StoreUnavailableError when nothing was removed, or when the entry may come back. */
  async remove(vin: Vin): Promise<boolean> {
    try {
      await this.#opening;
      const store = this.#opened();
      try {
        return await store.remove(vin);
      } catch (error) {
        this.#recover(store, error);
        if (this.#store === store) {
          throw error;
        }
        await this.#opening;
        return await this.#opened().remove(vin);
      }
    } catch (error) {
      this.#removals.note(error);
      throw toUnavailable(error);
    }
  }

  async coordinate(statement: FleetStatement, values: readonly (string | number)[]): Promise<unknown[][]> {
    const store = this.#areWritesPaused || this.#areReadsPaused ? undefined : this.#store;
    try {
      if (store === undefined) {
        throw toUnavailable(this.#lastFault);
      }
      return await store.coordinate(statement, values);
    } catch (error) {
      if (store !== undefined) {
        this.#noteWriteFault(store, error);
      }
      throw toUnavailable(error);
    }
  }

  /**
   * Pings the database. A lost database is replaced first. Concurrent callers share one ping.
   *
   * @throws StoreUnavailableError when it does not answer.
   */
  async ping(): Promise<void> {
    try {
      this.#pinging ??= this.#pingNow().finally(() => {
        this.#pinging = undefined;
      });
      await this.#pinging;
    } catch (error) {
      throw toUnavailable(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#opening;
    const store = this.#store;
    this.#store = undefined;
    // A running ping must not open it again.
    this.#triedAt = Infinity;
    this.#lastFault = new Error("the store is closed");
    await store?.[Symbol.asyncDispose]();
  }

  #opened(): DatabaseStore {
    if (this.#store === undefined) {
      throw toUnavailable(this.#lastFault);
    }
    return this.#store;
  }

  #readable(): DatabaseStore | undefined {
    if (this.#store === undefined || this.#areReadsPaused) {
      this.#reads.count++;
      return undefined;
    }
    return this.#store;
  }

  #writable(): DatabaseStore | undefined {
    if (this.#store === undefined || this.#areWritesPaused) {
      this.#writes.count++;
      return undefined;
    }
    return this.#store;
  }

  get #areWritesPaused(): boolean {
    // The clock is read only after a first fault.
    return this.#writesResumeAt !== -Infinity && this.#options.elapsedMs() < this.#writesResumeAt;
  }

  #noteReadFault(store: DatabaseStore | undefined, error: unknown): undefined {
    this.#reads.note(error);
    if (store !== undefined && this.#store === store) {
      this.#areReadsPaused = true;
      this.#recover(store, error);
      this.#pingInBackground();
    }
  }

  #noteWriteFault(store: DatabaseStore | undefined, error: unknown): void {
    this.#writes.note(error);
    if (store !== undefined && this.#store === store) {
      this.#writesResumeAt = this.#options.elapsedMs() + this.#options.retryWritesAfterMs;
      this.#recover(store, error);
    }
  }

  /** Starts to replace a lost database, unless it was replaced a moment ago. */
  #recover(store: DatabaseStore, fault: unknown): void {
    const { isLost, logger, elapsedMs } = this.#options;
    if (this.#store !== store || !isLost(fault) || !this.#isLongSince(this.#replacedAt)) {
      return;
    }
    logger.error("lost the cache database; replacing it", { err: fault });
    this.#replacedAt = elapsedMs();
    this.#store = undefined;
    this.#lastFault = fault;
    this.#opening = store
      .discard()
      .catch((error: unknown) => {
        logger.warn("cannot rename the lost database", { err: error });
      })
      .then(() => this.#tryToOpen());
  }

  #pingInBackground(): void {
    // The failed operation has logged the cause.
    this.ping().catch(() => undefined);
  }

  async #pingNow(): Promise<void> {
    if (this.#store === undefined && this.#isLongSince(this.#triedAt)) {
      this.#opening ??= this.#tryToOpen();
    }
    await this.#opening;
    const store = this.#opened();
    try {
      await store.ping();
    } catch (error) {
      this.#areReadsPaused = this.#store === store;
      this.#recover(store, error);
      if (this.#store === store) {
        throw error;
      }
      await this.#opening;
      await this.#opened().ping();
    }
    this.#areReadsPaused = false;
  }

  #isLongSince(moment: number): boolean {
    return this.#options.elapsedMs() - moment >= this.#options.reopenAfterMs;
  }

  async #tryToOpen(): Promise<void> {
    const { open, logger, elapsedMs } = this.#options;
    this.#triedAt = elapsedMs();
    try {
      this.#store = await open();
      this.#areReadsPaused = false;
      this.#writesResumeAt = -Infinity;
      logger.info("opened the cache database");
    } catch (error) {
      this.#lastFault = error;
      logger.warn("cannot open the cache database", { err: error });
    } finally {
      this.#opening = undefined;
    }
  }
}

/** Counts faults and logs them, at most one line per interval. */
class FaultCount {
  readonly #message: string;
  readonly #options: Pick<ResilientStoreOptions, "logger" | "elapsedMs">;
  count = 0;
  #loggedCount = 0;
  #silentUntil = -Infinity;

  constructor(message: string, options: Pick<ResilientStoreOptions, "logger" | "elapsedMs">) {
    this.#message = message;
    this.#options = options;
  }

  note(error: unknown): void {
    this.count++;
    const now = this.#options.elapsedMs();
    if (now >= this.#silentUntil) {
      this.#silentUntil = now + LOG_INTERVAL_MS;
      this.#options.logger.warn(this.#message, { faults: this.count - this.#loggedCount, err: error });
      this.#loggedCount = this.count;
    }
  }
}

function toUnavailable(cause: unknown): StoreUnavailableError {
  return cause instanceof StoreUnavailableError
    ? cause
    : new StoreUnavailableError("the cache database does not answer", { cause });
}
