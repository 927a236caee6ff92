import type { Logger } from "./logger.ts";

export interface RefusalLogOptions {
  readonly logger: Pick<Logger, "warn">;
  /** The line. */
  readonly message: string;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

const WARN_EVERY_MS = 10_000;
/** Maximum number of addresses that are counted, so that a flood from many addresses takes little memory. */
const MAX_COUNTED_ADDRESSES = 1_000;

/** Logs what was refused to which address: the first refusal at once, then a summary at most every 10 s. */
export class RefusalLog {
  readonly #options: RefusalLogOptions;
  readonly #now: () => number;
  /** Refused since the last line, by address. */
  readonly #since = new Map<string, number>();
  #count = 0;
  #warnedAt = -Infinity;

  constructor(options: RefusalLogOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** How many were refused since the start. */
  get count(): number {
    return this.#count;
  }

  /** Counts a refusal, and logs when it is time. @param fields of the line, beside the counts */
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
