import type { Interceptor } from "@connectrpc/connect";
import type { LoadShedder } from "../access/load-shedder.ts";

/**
 * Refuses calls while the service has more than it can answer in time. Stands before everything that costs something,
 * but inside the call interceptor, which tells callers why they are refused.
 */
export function createLoadInterceptor(shedder: LoadShedder): Interceptor {
  return (next) => async (request) => {
    shedder.enter();
    if (request.stream) {
      // Aborted at the end of every call, also of one whose reader never came.
      const { signal } = request;
      if (signal.aborted) {
        shedder.leave();
      } else {
        signal.addEventListener("abort", () => shedder.leave(), { once: true });
      }
      return next(request);
    }
    try {
      return await next(request);
    } finally {
      shedder.leave();
    }
  };
}
