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

/** Questions that go to vPIC in one request. Until the request is sent, more may join. */
export class Batch {
  readonly #questions: Question[] = [];
  readonly #abandoned = new AbortController();
  #isSent = false;

  /** Aborted when nobody waits for any of the answers any more. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  /** The questions that still need an answer. */
  get openQuestions(): readonly Question[] {
    return this.#questions.filter((question) => question.isOpen);
  }

  /**
   * Whether another question may join: there is room, the request is not sent, and its VIN is not in it already (rows
   * are matched by VIN, so that one VIN with two years must not be in one request).
   */
  accepts(question: Question): boolean {
    const open = this.openQuestions;
    return (
      !this.#isSent &&
      !this.#abandoned.signal.aborted &&
      open.length < MAX_BATCH_SIZE &&
      open.every(({ query }) => query.vin !== question.query.vin)
    );
  }

  add(question: Question): void {
    this.#questions.push(question);
    question.signal.addEventListener("abort", () => this.#leave(question), { once: true });
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

  #leave(question: Question): void {
    question.reject(question.signal.reason);
    if (this.openQuestions.length === 0) {
      this.#abandoned.abort(question.signal.reason);
    }
  }
}
