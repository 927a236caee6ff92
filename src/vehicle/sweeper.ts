import type { FreshnessPolicy } from "./freshness.ts";
import { sweepCutoffs } from "./freshness.ts";
import type { VehicleStore } from "./vehicle.ts";

const INTERVAL_MS = 3_600_000;
const PAUSE_MS = 50;
const BATCH_SIZE = 500;

/** The parts of a sweeper. */
export interface SweeperOptions {
  readonly store: Pick<VehicleStore, "sweep">;
  readonly freshness: FreshnessPolicy;
  /** Called after each sweep that deleted something. */
  readonly onSwept: (deleted: number) => void;
  /** Called when the store fails. */
  readonly onFault: (error: unknown) => void;
  /** Wall clock, ms since the epoch. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/**
 * Deletes expired entries every hour, in small batches with pauses, so that lookups are not held up. The first sweep is
 * an hour after the start.
 */
export function startSweeper({ store, freshness, onSwept, onFault, now = Date.now }: SweeperOptions): Disposable {
  let timer = setTimeout(begin, INTERVAL_MS);
  timer.unref();
  let isDisposed = false;

  function begin(): void {
    void sweepBatch(0);
  }

  async function sweepBatch(deletedBefore: number): Promise<void> {
    let deleted = 0;
    try {
      deleted = await store.sweep(sweepCutoffs(freshness, now()), BATCH_SIZE);
    } catch (error) {
      onFault(error);
    }
    const deletedSoFar = deletedBefore + deleted;
    const isDone = deleted < BATCH_SIZE;
    if (isDone && deletedSoFar > 0) {
      onSwept(deletedSoFar);
    }
    if (!isDisposed) {
      timer = isDone ? setTimeout(begin, INTERVAL_MS) : setTimeout(() => void sweepBatch(deletedSoFar), PAUSE_MS);
      timer.unref();
    }
  }

  return {
    [Symbol.dispose]() {
      isDisposed = true;
      clearTimeout(timer);
    },
  };
}
