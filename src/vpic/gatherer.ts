import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Question } from "./batch.ts";
import { Batch, MAX_BATCH_SIZE } from "./batch.ts";
import type { Call } from "./stop.ts";
import { VpicFault } from "./vpic-fault.ts";

/** How long a question waits for others to go with. */
const GATHERING_MS = 50;

/**
 * Gathers questions into requests. One that comes while nothing runs goes out at once and alone; the others leave
 * together when there are 50 or the oldest has waited 50 ms. They may also fill up a request that still waits for its
 * turn, so that a spent budget makes requests fuller, not more.
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

  /** How many questions wait for others to go with. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Takes a question to vPIC. It is settled in any case, with SourceUnavailableError when there is no answer. */
  submit(question: Question): void {
    if (this.#closing.signal.aborted) {
      question.reject(this.#closing.signal.reason);
    } else if (this.#isIdle) {
      const batch = new Batch({ isFixed: true });
      batch.offer(question);
      this.#send(batch);
    } else {
      this.#waiting.push(question);
      this.#gather();
    }
  }

  /** Ends everything: what waits and what runs is rejected with SourceUnavailableError. */
  [Symbol.dispose](): void {
    this.#closing.abort(new SourceUnavailableError("the vPIC source is closed"));
    clearTimeout(this.#timer);
    for (const question of this.#waiting.splice(0)) {
      question.reject(this.#closing.signal.reason);
    }
  }

  /** Whether nobody waits. A request whose answers were just given out is as good as over. */
  get #isIdle(): boolean {
    return this.#waiting.length === 0 && this.#running.values().every((batch) => batch.openQuestions.length === 0);
  }

  #gather(): void {
    if (this.#waiting.length >= MAX_BATCH_SIZE) {
      this.#leave();
    }
    if (this.#waiting.length === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    } else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        while (this.#waiting.length > 0) {
          this.#leave();
        }
      }, GATHERING_MS);
    }
  }

  /** Sends off as many of those who wait as go into one request. */
  #leave(): void {
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
  const retryAfterMs = error instanceof VpicFault ? error.retryAfterMs : undefined;
  return new SourceUnavailableError("vPIC did not answer", { cause: error, retryAfterMs });
}
