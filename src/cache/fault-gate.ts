import { AsyncResource } from "node:async_hooks";

import { bulkhead, type BulkheadPolicy } from "cockatiel";

import type { Logger } from "../telemetry/logger.ts";
import { StoreUnavailableError } from "../vehicle/errors.ts";

/** However many operations fail, one line in this time tells of them. */
const LOG_INTERVAL_MS = 10_000;

export interface FaultGateOptions {
  /** How many operations may be under way at once; the others wait. */
  readonly maxConcurrent: number;
  /** What is logged. */
  readonly message: string;
  /** After a fault, nothing is tried for so long, in ms. */
  readonly retryAfterMs: number;
  readonly logger: Logger;
  /** A clock that only goes forward, in ms. */
  readonly elapsedMs: () => number;
}

/** Lets operations through until one finds the store unavailable, then none for a while. */
export class FaultGate {
  readonly #options: FaultGateOptions;
  readonly #bulkhead: BulkheadPolicy | undefined;
  #faults = 0;
  #loggedFaults = 0;
  #closedUntil = Number.NEGATIVE_INFINITY;
  #silentUntil = Number.NEGATIVE_INFINITY;

  constructor(options: FaultGateOptions) {
    this.#options = options;
    const { maxConcurrent } = options;
    this.#bulkhead = Number.isFinite(maxConcurrent) ? bulkhead(maxConcurrent, Number.POSITIVE_INFINITY) : undefined;
  }

  /** How many operations failed or were not let through. */
  get faults(): number {
    return this.#faults;
  }

  /** What `work` gives, or `otherwise` when the store is unavailable. Other errors pass. */
  run<Result>(work: () => Promise<Result>, otherwise: () => Result): Promise<Result> {
    return this.#bulkhead === undefined
      ? this.#attempt(work, otherwise)
      : // Who waits would go on in the name of the one who makes room.
        this.#bulkhead.execute(AsyncResource.bind(() => this.#attempt(work, otherwise)));
  }

  async #attempt<Result>(work: () => Promise<Result>, otherwise: () => Result): Promise<Result> {
    // Most calls find the gate open and always have: they need no clock.
    if (this.#faults > 0 && this.#options.elapsedMs() < this.#closedUntil) {
      this.#faults++;
      return otherwise();
    }
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailableError)) {
        throw error;
      }
      this.#noteFault(error);
      return otherwise();
    }
  }

  #noteFault(error: StoreUnavailableError): void {
    const { message, retryAfterMs, logger, elapsedMs } = this.#options;
    const now = elapsedMs();
    this.#faults++;
    this.#closedUntil = now + retryAfterMs;
    if (now >= this.#silentUntil) {
      this.#silentUntil = now + LOG_INTERVAL_MS;
      logger.warn(message, { faults: this.#faults - this.#loggedFaults, err: error });
      this.#loggedFaults = this.#faults;
    }
  }
}
