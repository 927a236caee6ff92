import { setImmediate as nextTurn } from "node:timers/promises";
import type { Decode, VehicleQuery } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";

/** A decode to store, unless its VIN was removed after it began. */
export interface Put {
  readonly query: VehicleQuery;
  readonly decode: Decode;
  /** The result of `removalsOf` from before the decode began. */
  readonly removals: number;
}

/** Writes for one transaction. It puts each key at most once and removes each VIN at most once. */
export interface WriteBatch {
  readonly puts: readonly Put[];
  readonly removals: readonly Vin[];
}

/** The results of a batch, in the same order. */
export interface WriteOutcome {
  readonly stored: readonly boolean[];
  /** Whether there was an entry to remove. */
  readonly removed: readonly boolean[];
}

export interface WriteQueueOptions {
  /**
   * Commits a batch: removals first, so that no put of the same batch undoes one. A result that is ready is not wrapped
   * in a promise.
   */
  readonly commit: (batch: WriteBatch) => WriteOutcome | Promise<WriteOutcome>;
  /** How long puts wait for a commit before they fail, in ms. Removals wait until it ends. */
  readonly timeoutMs: number;
}

/** More rows would block the event loop, and make other processes on the same file wait for its lock. */
const ROWS_PER_BATCH = 200;

interface Waiting {
  readonly write: Put | Vin;
  /** Of two writes with the same key, the second waits for the next batch. */
  readonly key: string;
  readonly resolve: (answer: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Combines the writes of one turn of the event loop into batches, and commits one batch at a time. */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(options: WriteQueueOptions) {
    this.#options = options;
  }

  /**
   * @returns whether it was stored and committed.
   * @throws Error when the commit fails or takes too long. A late commit may still store it.
   */
  put(put: Put): Promise<boolean> {
    return this.#add(put, `${put.query.vin} ${put.query.modelYear ?? 0}`);
  }

  /**
   * @returns after the commit, whether there was an entry to remove.
   * @throws Error when the commit fails.
   */
  remove(vin: Vin): Promise<boolean> {
    return this.#add(vin, vin);
  }

  /** Resolves when nothing waits to be written. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #add(write: Put | Vin, key: string): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, key, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    do {
      await nextTurn();
      await this.#commit(this.#takeBatch());
    } while (this.#waiting.length > 0);
    this.#running = undefined;
  }

  #takeBatch(): Waiting[] {
    const keys = new Set<string>();
    for (const { key } of this.#waiting) {
      if (keys.size === ROWS_PER_BATCH || keys.has(key)) {
        break;
      }
      keys.add(key);
    }
    return this.#waiting.splice(0, keys.size);
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const puts = batch.filter(isPut);
    const removals = batch.filter(isRemoval);
    try {
      const outcome = this.#options.commit({
        puts: puts.map(({ write }) => write),
        removals: removals.map(({ write }) => write),
      });
      const { stored, removed } = outcome instanceof Promise ? await this.#waitFor(outcome, puts) : outcome;
      puts.forEach(({ resolve }, index) => resolve(stored[index] ?? false));
      removals.forEach(({ resolve }, index) => resolve(removed[index] ?? false));
    } catch (error) {
      batch.forEach(({ reject }) => reject(error));
    }
  }

  /** Waits for a commit. If it takes too long, the puts fail. */
  async #waitFor(commit: Promise<WriteOutcome>, puts: readonly Waiting[]): Promise<WriteOutcome> {
    let isDone = false;
    const timer = setTimeout(() => {
      // If the commit ended while this process was busy, its result is handled first.
      setImmediate(() => {
        if (!isDone) {
          this.#failPuts(puts);
        }
      });
    }, this.#options.timeoutMs);
    try {
      return await commit;
    } finally {
      isDone = true;
      clearTimeout(timer);
    }
  }

  #failPuts(running: readonly Waiting[]): void {
    const error = new Error("the database took too long to commit");
    const failed = [...running, ...this.#waiting.filter(isPut)];
    this.#waiting = this.#waiting.filter(isRemoval);
    failed.forEach(({ reject }) => reject(error));
  }
}

function isPut(waiting: Waiting): waiting is Waiting & { readonly write: Put } {
  return typeof waiting.write !== "string";
}

function isRemoval(waiting: Waiting): waiting is Waiting & { readonly write: Vin } {
  return typeof waiting.write === "string";
}
