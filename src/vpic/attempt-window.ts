interface Attempt {
  /** In the order in which attempts began. */
  readonly number: number;
  readonly succeeded: boolean;
  /** On the monotonic clock. */
  readonly endedAt: number;
}

const WINDOW_MS = 30_000;
/** So many of the last attempts tell enough, however large the budget is. */
const MAX_ATTEMPTS = 200;
const MIN_ATTEMPTS_FOR_RATE = 10;
const MAX_FAILED_SHARE = 0.5;
const MIN_ATTEMPTS_WITHOUT_SUCCESS = 3;

/** What became of the attempts of the last 30 s, and whether that is reason enough to leave vPIC alone. */
export class AttemptWindow {
  readonly #undecided = new Set<number>();
  #ended: Attempt[] = [];
  #lastNumber = 0;
  /** Attempts with a smaller number do not count any more. */
  #firstNumber = 1;

  /** Notes that an attempt begins, and returns its number. */
  begin(): number {
    this.#lastNumber += 1;
    this.#undecided.add(this.#lastNumber);
    return this.#lastNumber;
  }

  /** Notes how an attempt ended; `undefined`: neither way, such as when its caller went away. */
  end(number: number, succeeded: boolean | undefined): void {
    this.#undecided.delete(number);
    if (succeeded !== undefined && number >= this.#firstNumber) {
      const now = performance.now();
      this.#ended.push({ number, succeeded, endedAt: now });
      this.#ended = this.#ended.slice(-MAX_ATTEMPTS).filter(({ endedAt }) => endedAt > now - WINDOW_MS);
    }
  }

  /** Forgets all attempts, also those that have not ended: they began in another time. */
  clear(): void {
    this.#ended = [];
    this.#undecided.clear();
    this.#firstNumber = this.#lastNumber + 1;
  }

  /**
   * Whether at least 10 attempts ended and half of them failed, or at least 3 did and none succeeded.
   *
   * A refusal comes faster than an answer: of attempts that began together the first to end are the failed ones, which
   * says nothing about those that still run. So the first rule counts attempts that are undecided as if they had
   * succeeded, and the second leaves out what began after one of them.
   */
  get isFailing(): boolean {
    const failed = this.#ended.filter(({ succeeded }) => !succeeded);
    const total = this.#ended.length;
    if (total >= MIN_ATTEMPTS_FOR_RATE && failed.length >= (total + this.#countOvertaken()) * MAX_FAILED_SHARE) {
      return true;
    }
    const [oldestUndecided = Infinity] = this.#undecided;
    const settled = failed.filter(({ number }) => number < oldestUndecided);
    return failed.length === total && settled.length >= MIN_ATTEMPTS_WITHOUT_SUCCESS;
  }

  /** How many undecided attempts began before one that ended. Those that began later may not even be sent yet. */
  #countOvertaken(): number {
    const latestEnded = Math.max(...this.#ended.map(({ number }) => number));
    return this.#undecided.values().reduce((count, number) => (number < latestEnded ? count + 1 : count), 0);
  }
}
