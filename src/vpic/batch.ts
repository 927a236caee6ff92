import type { Decode, VehicleQuery } from "../vehicle/vehicle.ts";

/** The most VINs that vPIC takes in one request. */
export const MAX_BATCH_SIZE = 50;

/** One query on its way to vPIC. It is settled once: by an answer, by an error, or because nobody waits any more. */
export class Question {
  readonly query: VehicleQuery;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly answer: Promise<Decode>;
  readonly #settle: PromiseWithResolvers<Decode> = Promise.withResolvers<Decode>();
  #isOpen = true;

  constructor(query: VehicleQuery, signal: AbortSignal) {
    this.query = query;
    this.signal = signal;
    this.answer = this.#settle.promise;
    // Whether anybody looks at the answer is not this class's concern.
    this.answer.catch(() => undefined);
    signal.addEventListener("abort", () => this.reject(signal.reason), { once: true });
  }

  /** Whether it still needs an answer. */
  get isOpen(): boolean {
    return this.#isOpen && !this.signal.aborted;
  }

  resolve(decode: Decode): void {
    this.#isOpen = false;
    this.#settle.resolve(decode);
  }

  reject(error: unknown): void {
    this.#isOpen = false;
    this.#settle.reject(error);
  }
}

export interface BatchOptions {
  /** Whether nothing may join after the first question. Default false. */
  readonly isFixed?: boolean;
}

/** Questions that go to vPIC in one request. Until the request is sent, more may join. */
export class Batch {
  readonly #questions: Question[] = [];
  readonly #abandoned = new AbortController();
  readonly #maxSize: number;
  #isSent = false;

  constructor(options: BatchOptions = {}) {
    this.#maxSize = options.isFixed === true ? 1 : MAX_BATCH_SIZE;
  }

  /** Aborted when nobody waits for any of the answers any more. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  /** The questions that still need an answer. */
  get openQuestions(): readonly Question[] {
    return this.#questions.filter((question) => question.isOpen);
  }

  /**
   * Lets a question join, if there is room, the request is not sent, and its VIN is not in it already: rows are matched
   * by VIN, so that one VIN with two model years must not be in one request.
   *
   * @returns whether it joined.
   */
  offer(question: Question): boolean {
    const isClosed = this.#isSent || this.#abandoned.signal.aborted || this.#questions.length >= this.#maxSize;
    if (isClosed || this.#questions.some(({ query }) => query.vin === question.query.vin)) {
      return false;
    }
    this.#questions.push(question);
    question.signal.addEventListener("abort", () => this.#endIfAbandoned(question.signal.reason), { once: true });
    return true;
  }

  /** Closes the batch for further questions. */
  markSent(): void {
    this.#isSent = true;
  }

  /** Tells everybody who still waits that there is no answer. */
  reject(error: unknown): void {
    for (const question of this.openQuestions) {
      question.reject(error);
    }
  }

  #endIfAbandoned(reason: unknown): void {
    if (this.openQuestions.length === 0) {
      this.#abandoned.abort(reason);
    }
  }
}
