import { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Call } from "./call.ts";
import { VpicError } from "./vpic-error.ts";

/**
 * Limits the time of one request, from the first byte sent to the last one received. An idle timeout is not enough: an
 * answer that arrives byte by byte would never reach it.
 */
export function withAttemptTimeout<I>(timeoutMs: number, call: Call<I>): Call<I> {
  return async (input, stop) => {
    using limit = startLimit(timeoutMs, () => new VpicError("timeout", `no complete answer within ${timeoutMs} ms`));
    await call(input, { ...stop, signal: AbortSignal.any([stop.signal, limit.signal]) });
  };
}

/**
 * Limits the time that a call waits in queues and between attempts, until its last request is sent. A sent request has
 * its own limit.
 */
export function withWaitingLimit<I>(limitMs: number, call: Call<I>): Call<I> {
  return async (input, stop) => {
    using limit = startLimit(
      limitMs,
      () => new SourceUnavailableError(`no request to vPIC could be sent in ${limitMs} ms`, { retryAfterMs: limitMs }),
    );
    await call(input, { ...stop, whileWaiting: AbortSignal.any([stop.whileWaiting, limit.signal]) });
  };
}

function startLimit(ms: number, toReason: () => Error): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(toReason()), ms);
  return { signal: controller.signal, [Symbol.dispose]: () => clearTimeout(timer) };
}
