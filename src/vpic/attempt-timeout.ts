import type { Call } from "./stop.ts";
import { VpicFault } from "./vpic-fault.ts";

/**
 * Gives every call its time, from the first byte sent to the last one received. A limit between bytes would not do: an
 * answer that comes drop by drop would pass it.
 */
export function withAttemptTimeout<I>(timeoutMs: number, call: Call<I>): Call<I> {
  return async (input, stop) => {
    const timeout = new AbortController();
    const timer = setTimeout(
      () => timeout.abort(new VpicFault("timeout", `no complete answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    try {
      await call(input, { ...stop, signal: AbortSignal.any([stop.signal, timeout.signal]) });
    } finally {
      clearTimeout(timer);
    }
  };
}
