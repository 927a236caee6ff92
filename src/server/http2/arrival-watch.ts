import type { ServerHttp2Stream } from "node:http2";

const SWEEP_MS = 1000;

/**
 * Ends calls whose request does not arrive: until it has, no handler runs, so no handler's deadline does either. Calls
 * are looked at once a second; that is cheaper than a timer for each of them.
 */
export class ArrivalWatch implements Disposable {
  readonly #timeoutMs: number;
  readonly #endLate: (stream: ServerHttp2Stream) => void;
  /** When each stream began whose request is not complete, oldest first. */
  readonly #incomplete = new Map<ServerHttp2Stream, number>();
  readonly #timer: NodeJS.Timeout;

  /**
   * @param timeoutMs how long a request may take to arrive, give or take a second.
   * @param endLate answers and closes a stream whose time is over.
   */
  constructor(timeoutMs: number, endLate: (stream: ServerHttp2Stream) => void) {
    this.#timeoutMs = timeoutMs;
    this.#endLate = endLate;
    this.#timer = setInterval(() => {
      this.#sweep();
    }, SWEEP_MS);
    this.#timer.unref();
  }

  /** Watches a stream that has just begun. */
  watch(stream: ServerHttp2Stream): void {
    this.#incomplete.set(stream, performance.now());
    const settle = (): void => {
      this.#incomplete.delete(stream);
    };
    stream.once("end", settle);
    stream.once("close", settle);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const latest = performance.now() - this.#timeoutMs;
    for (const [stream, beganAt] of this.#incomplete) {
      if (beganAt > latest) {
        return;
      }
      this.#incomplete.delete(stream);
      this.#endLate(stream);
    }
  }
}
