import { ExportStalledError } from "./errors.ts";

/**
 * Measures how long a reader takes nothing. The clock runs from the beginning, and stands still between {@link pause}
 * and {@link resume}.
 */
export class StallWatch implements Disposable {
  readonly #limitMs: number;
  readonly #stalled = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
    this.resume();
  }

  /** Aborted with ExportStalledError when the reader has stalled. */
  get signal(): AbortSignal {
    return this.#stalled.signal;
  }

  /** The reader asks for more: what follows is our own time. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** The reader has what it asked for: what follows is its time. */
  resume(): void {
    clearTimeout(this.#timer);
    if (!this.#isDisposed) {
      this.#timer = setTimeout(() => {
        this.#stalled.abort(new ExportStalledError(`the reader took nothing for ${this.#limitMs} ms`));
      }, this.#limitMs);
    }
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }
}
