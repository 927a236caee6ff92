import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Call } from "./stop.ts";

/**
 * Bounds the time that a call spends until its last request is sent: in queues and between attempts. A request that
 * was sent has its own limit.
 */
export function withWaitingLimit<I>(limitMs: number, call: Call<I>): Call<I> {
  return async (input, stop) => {
    const limit = new AbortController();
    const timer = setTimeout(
      () =>
        limit.abort(
          new SourceUnavailableError(`vPIC's turn did not come within ${limitMs} ms`, { retryAfterMs: limitMs }),
        ),
      limitMs,
    );
    try {
      await call(input, { ...stop, whileWaiting: AbortSignal.any([stop.whileWaiting, limit.signal]) });
    } finally {
      clearTimeout(timer);
    }
  };
}
