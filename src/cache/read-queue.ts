export interface ReadQueueOptions<Key, Result> {
  /** Reads the results of these keys in one query, in their order. */
  readonly read: (keys: readonly Key[]) => Promise<Result[]>;
  /** Maximum number of keys in a query. */
  readonly maxKeys: number;
  /** Maximum number of queries at once. Meanwhile, further keys gather for the next one. */
  readonly maxRunning: number;
}

interface Waiting<Key, Result> {
  readonly key: Key;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Combines the reads of one turn of the event loop into one query. */
export class ReadQueue<Key, Result> {
  readonly #options: ReadQueueOptions<Key, Result>;
  readonly #waiting: Waiting<Key, Result>[] = [];
  #running = 0;
  #isScheduled = false;

  constructor(options: ReadQueueOptions<Key, Result>) {
    this.#options = options;
  }

  /** @throws the error of the query, or of a query that this read is waiting behind. */
  read(key: Key): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject });
      if (!this.#isScheduled) {
        this.#isScheduled = true;
        setImmediate(() => {
          this.#isScheduled = false;
          this.#start();
        });
      }
    });
  }

  #start(): void {
    while (this.#waiting.length > 0 && this.#running < this.#options.maxRunning) {
      const batch = this.#waiting.splice(0, this.#options.maxKeys);
      this.#running++;
      void this.#run(batch);
    }
  }

  async #run(batch: readonly Waiting<Key, Result>[]): Promise<void> {
    try {
      const results = await this.#options.read(batch.map(({ key }) => key));
      for (const [index, result] of results.entries()) {
        batch[index]?.resolve(result);
      }
    } catch (error) {
      // The database does not answer, so all waiting reads fail at once, not one query after the other.
      [...batch, ...this.#waiting.splice(0)].forEach(({ reject }) => reject(error));
    } finally {
      this.#running--;
      this.#start();
    }
  }
}
