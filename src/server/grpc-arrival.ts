import { ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";

type Call = Parameters<ServerInterceptor>[1];

const sweepMs = 1000;

/**
 * Ends calls whose request does not arrive: until it has, no handler runs, so no handler's deadline does either. Calls
 * are looked at once a second; that is cheaper than a timer for each of them.
 */
export class ArrivalWatch implements Disposable {
  readonly #timeoutMs: number;
  /** When each call began that is not complete, oldest first. */
  readonly #incomplete = new Map<Call, number>();
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#timer = setInterval(() => {
      this.#sweep();
    }, sweepMs);
    this.#timer.unref();
  }

  readonly interceptor: ServerInterceptor = (method, call) => {
    if (method.requestStream) {
      return new ServerInterceptingCall(call);
    }
    const settle = (): void => {
      this.#incomplete.delete(call);
    };
    this.#incomplete.set(call, Date.now());
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveHalfClose: (next) => {
            settle();
            next();
          },
          onCancel: settle,
        });
      },
    });
  };

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const latest = Date.now() - this.#timeoutMs;
    for (const [call, beganAt] of this.#incomplete) {
      if (beganAt > latest) {
        return;
      }
      this.#incomplete.delete(call);
      call.sendStatus({ code: status.DEADLINE_EXCEEDED, details: "the request did not arrive in time" });
    }
  }
}
