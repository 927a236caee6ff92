import { Code, ConnectError } from "@connectrpc/connect";

/**
 * The signal of a request over HTTP, saying "cancelled" of a client that has gone in whatever way. connect-node says
 * "aborted" when the connection was reset, as browsers and Node do to cancel.
 */
export function canceledWhenGone(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => {
    const reason: unknown = signal.reason;
    controller.abort(
      reason instanceof ConnectError ? new ConnectError("the client cancelled the call", Code.Canceled) : reason,
    );
  };
  if (signal.aborted) {
    abort();
  } else {
    signal.addEventListener("abort", abort, { once: true });
  }
  return controller.signal;
}
