import type { Vin } from "./vin.ts";

/** The rate of requests to vPIC. */
export interface RequestRate {
  readonly requestsPerSecond: number;
  /** In any `t` seconds at most `burst + t * requestsPerSecond` requests are sent. */
  readonly burst: number;
}

/**
 * What the processes that share a cache agree on, so that vPIC sees them as one. A process whose cache database does
 * not answer decides alone.
 */
export interface Fleet {
  /**
   * Waits until no other process asks vPIC for the VIN. Callers in the same process share a lease.
   *
   * @returns a function that ends the lease. Call it when the answer is stored.
   * @throws the reason of `signal` when aborted.
   */
  lease(vin: Vin, signal: AbortSignal): Promise<() => void>;
  /**
   * Takes one request of the budget if there is one.
   *
   * @returns how many more may be sent now; a negative number is the time until the next one, in ms.
   * @throws StoreUnavailableError when the database does not answer.
   */
  takeRequest(rate: RequestRate): Promise<number>;
  /** Leaves one request of the budget, so that there is no burst after a pause. Its faults are ignored. */
  drainBudget(rate: RequestRate): Promise<void>;
  /** How many processes used the budget within the last minute, this one included. Known when a request is taken. */
  readonly size: number;
  /** Whether this process may probe vPIC now. If so, no other process may during the interval. */
  mayProbe(intervalMs: number): Promise<boolean>;
  /** Lets the other processes probe vPIC at once, because it answers again. */
  endProbing(): Promise<void>;
}
