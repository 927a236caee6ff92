import type { DescMethod } from "@bufbuild/protobuf";
import type { ContextValues } from "@connectrpc/connect";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { ServerUnaryCall } from "@grpc/grpc-js";

import type { CallLimits } from "./call-limits.ts";
import { toHeaders } from "./grpc-metadata.ts";
import { type ContextValuesOf, peerOf } from "./peer.ts";

/** What grpc-js gives for a call, unary or streaming. */
export type CallSurface = Pick<
  ServerUnaryCall<Buffer, Buffer>,
  "getDeadline" | "getHost" | "getPath" | "getPeer" | "metadata"
> & { on(event: "cancelled", listener: () => void): unknown };

/** grpc-js may act on a deadline a moment before the clock shows it: timers are rounded to whole milliseconds. */
const clockSlackMs = 2;

/** How long interceptors may take to pass on that the deadline has passed, before the caller is told without them. */
const unwindMs = 50;

/**
 * One call from its arrival to its end: deadline, signal, headers and trailers, as Connect's handlers and interceptors
 * want them. Signal, headers and context values cost more than the rest of a call together, so each is made when it is
 * first asked for.
 */
export class GrpcCall {
  readonly method: DescMethod;
  readonly #surface: CallSurface;
  readonly #contextValuesOf: ContextValuesOf | undefined;
  readonly #overdue: (reason: ConnectError) => void;
  readonly #deadlineAt: number;
  #timer: NodeJS.Timeout | undefined;
  #controller: AbortController | undefined;
  #values: ContextValues | undefined;
  #requestHeader: Headers | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #cutShort: ConnectError | undefined;
  #finished = false;
  #waiters: Set<(reason: ConnectError) => void> | undefined;

  /** @param overdue called when the deadline has passed and the call is not finished 50 ms later */
  constructor(
    surface: CallSurface,
    method: DescMethod,
    limits: CallLimits,
    contextValuesOf: ContextValuesOf | undefined,
    overdue: (reason: ConnectError) => void,
  ) {
    this.method = method;
    this.#surface = surface;
    this.#contextValuesOf = contextValuesOf;
    this.#overdue = overdue;
    const now = Date.now();
    const asked = Number(surface.getDeadline());
    const latest = now + (asked === Infinity ? limits.defaultTimeoutMs : limits.maxTimeoutMs);
    this.#deadlineAt = Math.min(asked, latest);
    // grpc-js itself answers at the client's deadline, and then says "cancelled".
    if (asked > latest) {
      this.#timer = setTimeout(this.#onDeadline, latest - now);
    }
    // Said at the end of every call, too.
    surface.on("cancelled", this.#onCancelled);
  }

  /** Why the call was cut short; undefined while it runs and when it ended by itself. */
  get cutShort(): ConnectError | undefined {
    return this.#cutShort;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cutShort !== undefined || this.#finished) {
        this.#controller.abort(this.#cutShort);
      }
    }
    return this.#controller.signal;
  }

  get requestHeader(): Headers {
    this.#requestHeader ??= toHeaders(this.#surface.metadata);
    return this.#requestHeader;
  }

  get responseHeader(): Headers {
    this.#responseHeader ??= new Headers();
    return this.#responseHeader;
  }

  /** The response headers if anyone has asked for them yet. */
  get responseHeaderIfAny(): Headers | undefined {
    return this.#responseHeader;
  }

  get responseTrailer(): Headers {
    this.#responseTrailer ??= new Headers();
    return this.#responseTrailer;
  }

  /** The response trailers if anyone has asked for them yet. */
  get responseTrailerIfAny(): Headers | undefined {
    return this.#responseTrailer;
  }

  get values(): ContextValues {
    this.#values ??= this.#contextValuesOf?.(peerOf(this.#surface.getPeer())) ?? createContextValues();
    return this.#values;
  }

  get url(): string {
    return `http://${this.#surface.getHost()}${this.#surface.getPath()}`;
  }

  /** The time left, in ms; 0 or less when the deadline has passed. */
  readonly timeoutMs = (): number => this.#deadlineAt - Date.now();

  /** The work's outcome, or a rejection as soon as the call is cut short, whatever the work does. */
  async unlessCutShort<T>(work: Promise<T>): Promise<T> {
    if (this.#cutShort !== undefined) {
      work.catch(ignore);
      throw this.#cutShort;
    }
    const { promise, reject } = Promise.withResolvers<never>();
    const waiters = (this.#waiters ??= new Set());
    waiters.add(reject);
    try {
      return await Promise.race([work, promise]);
    } finally {
      waiters.delete(reject);
    }
  }

  /** Cuts the call short: whoever waits for it is told, and its signal is aborted. */
  cut(reason: ConnectError): void {
    if (this.#finished || this.#cutShort !== undefined) {
      return;
    }
    this.#cutShort = reason;
    for (const reject of this.#waiters ?? []) {
      reject(reason);
    }
    this.#controller?.abort(reason);
  }

  /** To be called when the answer is on its way: ends the timer, and aborts the signal as Connect does at the end. */
  finish(): void {
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#controller?.abort();
  }

  readonly #onDeadline = (): void => {
    const reason = deadlineExceeded();
    this.cut(reason);
    this.#timer = setTimeout(this.#overdue, unwindMs, reason);
  };

  readonly #onCancelled = (): void => {
    if (this.#finished) {
      return;
    }
    clearTimeout(this.#timer);
    this.cut(
      this.timeoutMs() <= clockSlackMs
        ? deadlineExceeded()
        : new ConnectError("the client cancelled the call", Code.Canceled),
    );
  };
}

function deadlineExceeded(): ConnectError {
  return new ConnectError("the deadline has passed", Code.DeadlineExceeded);
}

function ignore(): void {}
