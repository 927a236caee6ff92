import type { Logger } from "../telemetry/logger.ts";
import { StoreUnavailableError } from "../vehicle/errors.ts";
import type { CachedVehicle, Decode, SweepCutoffs, VehicleQuery, VehicleStore, View } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { OpenedStore } from "./opened-store.ts";

export interface ReopeningStoreOptions {
  /** Opens the database, and makes a new one where there is none that can be used. */
  readonly open: () => Promise<OpenedStore>;
  /** Whether an error means that the database has to be discarded and opened anew. */
  readonly isLost: (error: unknown) => boolean;
  /** A database that could not be opened, or was lost again at once, is tried again after this time, in ms. */
  readonly retryAfterMs: number;
  readonly logger: Logger;
  /** A clock that only goes forward, in ms. */
  readonly elapsedMs: () => number;
}

/**
 * A store on a database that may be missing, lost or replaced while the service runs. Every fault comes out as a
 * StoreUnavailableError with its cause. Nobody waits for a database that is being opened: meanwhile it is unavailable.
 */
export class ReopeningStore implements VehicleStore, AsyncDisposable {
  readonly #options: ReopeningStoreOptions;
  #store: OpenedStore | undefined;
  #opening: Promise<void> | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #replacedAt = Number.NEGATIVE_INFINITY;
  #lastFault: unknown;
  #isClosed = false;

  constructor(options: ReopeningStoreOptions) {
    this.#options = options;
  }

  /** Tries to open the database, unless it is open. Does not fail: see {@link ping}. */
  async open(): Promise<void> {
    if (this.#store === undefined) {
      this.#opening ??= this.#tryToOpen();
      await this.#opening;
    }
  }

  find(query: VehicleQuery, view: View): Promise<CachedVehicle | undefined> {
    return this.#run((store) => store.find(query, view));
  }

  findMany(queries: readonly VehicleQuery[], view: View): Promise<(CachedVehicle | undefined)[]> {
    return this.#run((store) => store.findMany(queries, view));
  }

  removalsOf(vin: Vin): Promise<number | undefined> {
    return this.#run((store) => store.removalsOf(vin));
  }

  put(query: VehicleQuery, decode: Decode, removals: number | undefined): Promise<boolean> {
    return this.#run((store) => store.put(query, decode, removals));
  }

  remove(vin: Vin): Promise<boolean> {
    return this.#run((store) => store.remove(vin));
  }

  sweep(cutoffs: SweepCutoffs, limit: number): Promise<number> {
    return this.#run((store) => store.sweep(cutoffs, limit));
  }

  /** @throws StoreUnavailableError when the database does not answer. */
  ping(): Promise<void> {
    return this.#run((store) => store.ping());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#opening;
    const store = this.#store;
    this.#store = undefined;
    this.#lastFault = new Error("the store is closed");
    await store?.[Symbol.asyncDispose]();
  }

  async #run<Result>(work: (store: OpenedStore) => Promise<Result>): Promise<Result> {
    const store = this.#store;
    if (store === undefined) {
      this.#openInBackground();
      throw toUnavailable(this.#lastFault);
    }
    try {
      return await work(store);
    } catch (error) {
      const next = await this.#replace(store, error);
      return work(next).catch((again: unknown) => {
        throw toUnavailable(again);
      });
    }
  }

  /** The store that takes the place of one that failed, if it has to be another. */
  async #replace(store: OpenedStore, fault: unknown): Promise<OpenedStore> {
    if (this.#store === store) {
      if (!this.#options.isLost(fault) || !this.#isLongSince(this.#replacedAt)) {
        throw toUnavailable(fault);
      }
      this.#options.logger.error("the cache's database was lost, a new one takes its place", { err: fault });
      this.#replacedAt = this.#options.elapsedMs();
      this.#store = undefined;
      this.#lastFault = fault;
      this.#opening = store
        .discard()
        .catch((error: unknown) => {
          this.#options.logger.warn("the lost database could not be put away", { err: error });
        })
        .then(() => this.#tryToOpen());
      await this.#opening;
    }
    // Others may have replaced it while this operation was failing.
    if (this.#store === undefined) {
      throw toUnavailable(fault);
    }
    return this.#store;
  }

  #openInBackground(): void {
    if (this.#opening === undefined && !this.#isClosed && this.#isLongSince(this.#triedAt)) {
      void this.open();
    }
  }

  #isLongSince(moment: number): boolean {
    return this.#options.elapsedMs() - moment >= this.#options.retryAfterMs;
  }

  async #tryToOpen(): Promise<void> {
    this.#triedAt = this.#options.elapsedMs();
    try {
      this.#store = await this.#options.open();
      this.#options.logger.info("the cache's database is open");
    } catch (error) {
      this.#lastFault = error;
      this.#options.logger.warn("the cache's database cannot be opened", { err: error });
    } finally {
      this.#opening = undefined;
    }
  }
}

function toUnavailable(cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError("the cache's database cannot do this now", { cause });
}
