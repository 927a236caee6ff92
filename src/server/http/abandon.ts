import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

import { abortable, type CutShort } from "../abortable.ts";

/**
 * The innermost interceptor on HTTP: waits for the handler no longer than the call's signal allows, so that a call ends
 * at its deadline whatever the handler does, and the other interceptors see it end.
 */
export const abandonWhenAborted: Interceptor = (next) => async (request) => {
  const cut = cutBy(request.signal);
  const response = await cut.unlessCutShort(next(request));
  return response.stream ? { ...response, message: abortable(response.message, cut, (message) => message) } : response;
};

function cutBy(signal: AbortSignal): CutShort {
  return {
    async unlessCutShort(work) {
      const { promise, reject } = Promise.withResolvers<never>();
      const onAbort = (): void => {
        reject(reasonOf(signal));
      };
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) {
        onAbort();
      }
      try {
        return await Promise.race([work, promise]);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
  };
}

function reasonOf(signal: AbortSignal): ConnectError {
  return signal.reason instanceof ConnectError
    ? signal.reason
    : new ConnectError("the client cancelled the call", Code.Canceled);
}
