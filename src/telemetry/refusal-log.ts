import type { Logger } from "./logger.ts";

export interface RefusalLogOptions {
  readonly logger: Pick<Logger, "warn">;
  /** The message of the log line. */
  readonly message: string;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

const WARN_EVERY_MS = 10_000;
/** Maximum number of addresses with counts of their own. Limits the memory that a flood from many addresses takes. */
const MAX_COUNTED_ADDRESSES = 1_000;

/** Logs refusals with the address: the first one at once, then a summary at most every 10 s. */
export class RefusalLog {
  readonly #options: RefusalLogOptions;
  readonly #now: () => number;
  /** The number of refusals since the last line, by address. */
  readonly #since = new Map<string, number>();
  #count = 0;
  #warnedAt = -Infinity;

  constructor(options: RefusalLogOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The number of refusals since the start. */
  get count(): number {
    return this.#count;
  }

  /** Counts a refusal, and logs a line if the last one is at least 10 s old. @param fields more fields of the line */
  note(address: string, fields: () => object = () => ({})): void {
    this.#count++;
    const refused = this.#since.get(address) ?? 0;
    if (refused > 0 || this.#since.size < MAX_COUNTED_ADDRESSES) {
      this.#since.set(address, refused + 1);
    }
    const now = this.#now();
    if (now - this.#warnedAt < WARN_EVERY_MS) {
      return;
    }
    this.#warnedAt = now;
    const [worst] = [...this.#since].toSorted(([, one], [, other]) => other - one);
    this.#options.logger.warn(this.#options.message, {
      address: worst?.[0],
      count: worst?.[1],
      addresses: this.#since.size,
      refusedInAll: this.#count,
      ...fields(),
    });
    this.#since.clear();
  }
}
