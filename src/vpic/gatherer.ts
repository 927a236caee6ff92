import type { TracedRequest } from "../telemetry/request-context.ts";
import { tracedRequest } from "../telemetry/request-context.ts";
import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Decode, VehicleQuery } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { Call } from "./call.ts";
import { VpicError } from "./vpic-error.ts";

/** vPIC's maximum number of VINs in one request. */
const MAX_BATCH_SIZE = 50;
/** How long a question waits for others to share its request. */
const GATHERING_MS = 50;

/** One query for vPIC. It is settled once: by an answer, by an error, or because its caller left. */
export class Question {
  readonly query: VehicleQuery;
  readonly answer: Promise<Decode>;
  /** The request that it is for, if that is traced. */
  readonly tracedRequest: TracedRequest | undefined = tracedRequest();
  readonly #signal: AbortSignal;
  readonly #settle: PromiseWithResolvers<Decode> = Promise.withResolvers<Decode>();
  readonly #whenLeft = new Set<(reason: unknown) => void>();
  readonly #leave: () => void;
  #isSettled = false;
  /** The latest request with it. */
  #request: Promise<unknown> | undefined;

  /** @param signal aborted when the caller leaves. */
  constructor(query: VehicleQuery, signal: AbortSignal) {
    this.query = query;
    this.answer = this.#settle.promise;
    // Without this, a rejection that no caller awaits would count as unhandled.
    this.answer.catch(() => undefined);
    this.#signal = signal;
    this.#leave = () => {
      this.reject(signal.reason);
      for (const notify of this.#whenLeft) {
        notify(signal.reason);
      }
    };
    signal.addEventListener("abort", this.#leave, { once: true });
  }

  /** Whether it still needs an answer. */
  get isOpen(): boolean {
    return !this.#isSettled && !this.#signal.aborted;
  }

  /** Notes the request that it is sent in. */
  sendIn(request: Promise<unknown>): void {
    this.#request = request;
  }

  /** Resolves when it is settled and no request has it any more. */
  async ended(): Promise<void> {
    await Promise.allSettled([this.answer]);
    await Promise.allSettled([this.#request]);
  }

  /** Notifies when the caller leaves before there is an answer. */
  onLeft(notify: (reason: unknown) => void): void {
    this.#whenLeft.add(notify);
  }

  resolve(decode: Decode): void {
    this.#end();
    this.#settle.resolve(decode);
  }

  reject(error: unknown): void {
    this.#end();
    this.#settle.reject(error);
  }

  #end(): void {
    this.#isSettled = true;
    this.#signal.removeEventListener("abort", this.#leave);
  }
}

export interface BatchOptions {
  /** Maximum number of questions. Default: 50. */
  readonly maxSize?: number;
}

/** Questions that go to vPIC in one request. Until the request is sent, more may join. */
export class Batch {
  readonly #questions: Question[] = [];
  readonly #abandoned = new AbortController();
  readonly #maxSize: number;
  #isSent = false;

  constructor({ maxSize = MAX_BATCH_SIZE }: BatchOptions = {}) {
    this.#maxSize = maxSize;
  }

  /** Aborted when the callers of all its questions have left. */
  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  /** The questions that still need an answer. */
  get openQuestions(): readonly Question[] {
    return this.#questions.filter((question) => question.isOpen);
  }

  /** The VINs that still need an answer. */
  get openVins(): readonly Vin[] {
    return this.openQuestions.map(({ query }) => query.vin);
  }

  /**
   * Lets a question join if there is room, the request is not sent, and its VIN is not in it already: rows are matched
   * by VIN, so one VIN with two model years must not be in one request.
   *
   * @returns whether it joined.
   */
  offer(question: Question): boolean {
    const isClosed = this.#isSent || this.#abandoned.signal.aborted || this.#questions.length >= this.#maxSize;
    if (isClosed || this.#questions.some(({ query }) => query.vin === question.query.vin)) {
      return false;
    }
    this.#questions.push(question);
    question.onLeft((reason) => this.#endIfAbandoned(reason));
    return true;
  }

  /** Closes the batch for further questions. */
  markSent(): void {
    this.#isSent = true;
  }

  /** Two batches with half of the open questions each; undefined when there are fewer than two. */
  split(): readonly Batch[] | undefined {
    const open = this.openQuestions;
    if (open.length < 2) {
      return undefined;
    }
    const middle = Math.ceil(open.length / 2);
    return [open.slice(0, middle), open.slice(middle)].map((half) => {
      const batch = new Batch();
      for (const question of half) {
        batch.offer(question);
      }
      return batch;
    });
  }

  /** Rejects the open questions. */
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

/**
 * Gathers questions into requests. When no request is in progress, a question is sent at once and alone. Otherwise
 * questions are sent together when there are 50 or the oldest has waited 50 ms. They may also join a request that still
 * waits for its turn, so that a spent budget leads to fuller requests instead of more requests.
 */
export class Gatherer implements Disposable {
  readonly #ask: Call<Batch>;
  readonly #closing = new AbortController();
  readonly #running = new Set<Batch>();
  #waiting: Question[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(ask: Call<Batch>) {
    this.#ask = ask;
  }

  /** How many questions wait for others to share a request. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Submits a question to vPIC. It always settles; without an answer, it rejects with SourceUnavailableError. */
  submit(question: Question): void {
    if (this.#closing.signal.aborted) {
      question.reject(this.#closing.signal.reason);
    } else if (this.#isIdle) {
      const batch = new Batch({ maxSize: 1 });
      batch.offer(question);
      this.#send(batch);
    } else {
      this.#waiting.push(question);
      this.#gather();
    }
  }

  /** Rejects all questions, waiting or sent, with SourceUnavailableError. */
  [Symbol.dispose](): void {
    this.#closing.abort(new SourceUnavailableError("the vPIC source is closed"));
    clearTimeout(this.#timer);
    for (const question of this.#waiting.splice(0)) {
      question.reject(this.#closing.signal.reason);
    }
  }

  /** Whether every question has its answer. The last request may not have ended yet. */
  get #isIdle(): boolean {
    return this.#waiting.length === 0 && this.#running.values().every((batch) => batch.openQuestions.length === 0);
  }

  #gather(): void {
    if (this.#waiting.length >= MAX_BATCH_SIZE) {
      this.#sendWaiting();
    }
    if (this.#waiting.length === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        while (this.#waiting.length > 0) {
          this.#sendWaiting();
        }
      }, GATHERING_MS);
    }
  }

  /** Sends one request with as many waiting questions as fit into it. */
  #sendWaiting(): void {
    this.#waiting = this.#waiting.filter((question) => question.isOpen && !this.#joinRunning(question));
    if (this.#waiting.length > 0) {
      const batch = new Batch();
      this.#waiting = this.#waiting.filter((question) => !batch.offer(question));
      this.#send(batch);
    }
  }

  #joinRunning(question: Question): boolean {
    return this.#running.values().some((batch) => batch.offer(question));
  }

  #send(batch: Batch): void {
    this.#running.add(batch);
    const signal = AbortSignal.any([batch.abandoned, this.#closing.signal]);
    this.#ask(batch, { signal, whileWaiting: signal })
      .catch((error: unknown) => batch.reject(toUnavailable(error)))
      .finally(() => this.#running.delete(batch));
  }
}

function toUnavailable(error: unknown): SourceUnavailableError {
  if (error instanceof SourceUnavailableError) {
    return error;
  }
  const retryAfterMs = error instanceof VpicError ? error.retryAfterMs : undefined;
  return new SourceUnavailableError("vPIC did not answer", { cause: error, retryAfterMs });
}
