import type { Interceptor } from "@connectrpc/connect";
import { OverloadedError } from "../access/errors.ts";
import type { LoadShedder } from "../access/load-shedder.ts";

/** When to come again after a refusal for overload. */
export const OVERLOAD_RETRY_AFTER_MS = 1_000;

/**
 * Refuses calls while the service has more than it can answer in time. Stands before everything that costs something,
 * but inside the call interceptor, which tells callers why they are refused.
 */
export function createLoadInterceptor(shedder: LoadShedder): Interceptor {
  return (next) => (request) => {
    if (shedder.refuses()) {
      throw new OverloadedError(OVERLOAD_RETRY_AFTER_MS);
    }
    return next(request);
  };
}
