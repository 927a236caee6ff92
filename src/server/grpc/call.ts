import type { ContextValues } from "@connectrpc/connect";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { ServerUnaryCall } from "@grpc/grpc-js";

import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import type { CallLimits } from "../limits/call-limits.ts";
import { toHeaders } from "./metadata.ts";
import { type ContextValuesOf, peerOf, UNKNOWN_ADDRESS } from "../peer.ts";

/** What grpc-js gives for a call, unary or streaming. */
export type CallSurface = Pick<
  ServerUnaryCall<Buffer, Buffer>,
  "getDeadline" | "getHost" | "getPath" | "getPeer" | "metadata"
> & { on(event: "cancelled", listener: () => void): unknown };

/** Whether a call's connection is gone. Nobody waits for it, and nobody could be named or charged for it. */
export function isDisconnected(surface: Pick<CallSurface, "getPeer">): boolean {
  return peerOf(surface.getPeer()).address === UNKNOWN_ADDRESS;
}

type Listener = (reason: ConnectError) => void;

/** grpc-js may act on a deadline a moment before the clock shows it: timers are rounded to whole milliseconds. */
const CLOCK_SLACK_MS = 2;

/** How long interceptors may take to pass on that the deadline has passed, before the caller is told without them. */
const UNWIND_MS = 50;

/** What the signal of a call says that has ended by itself. Made once: an error with its stack costs 4 us. */
const ended = new DOMException("the call has ended", "AbortError");

/**
 * One call from its arrival to its end: deadline, signal, headers and trailers, as Connect's handlers and interceptors
 * want them.
 */
export class GrpcCall {
  readonly url: string;
  /** Has the id of the request in any case. */
  readonly requestHeader: Headers;
  readonly requestId: string;
  readonly responseHeader = new Headers();
  readonly responseTrailer = new Headers();
  readonly values: ContextValues;
  readonly #overdue: Listener;
  readonly #deadlineAt: number;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #cutShort: ConnectError | undefined;
  #finished = false;
  #rejectWork: Listener | undefined;
  #onCut: Listener | undefined;

  /** @param overdue called when the deadline has passed and the call is not finished 50 ms later */
  constructor(
    surface: CallSurface,
    limits: CallLimits,
    contextValuesOf: ContextValuesOf | undefined,
    overdue: Listener,
  ) {
    this.url = `http://${surface.getHost()}${surface.getPath()}`;
    this.requestHeader = toHeaders(surface.metadata);
    this.requestId = requestIdOf(this.requestHeader.get(REQUEST_ID_HEADER));
    this.requestHeader.set(REQUEST_ID_HEADER, this.requestId);
    this.values = contextValuesOf?.(peerOf(surface.getPeer())) ?? createContextValues();
    this.#overdue = overdue;
    const now = Date.now();
    const asked = Number(surface.getDeadline());
    const latest = now + (asked === Infinity ? limits.defaultTimeoutMs : limits.maxTimeoutMs);
    this.#deadlineAt = Math.min(asked, latest);
    // grpc-js itself answers at the client's deadline, and then says "cancelled".
    if (asked > latest) {
      this.#timer = setTimeout(onDeadline, latest - now, this);
    }
    // Said at the end of every call, too.
    surface.on("cancelled", () => {
      if (!this.#finished) {
        this.#onCancelled();
      }
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time left, in ms; negative when the deadline has passed. */
  readonly timeoutMs = (): number => this.#deadlineAt - Date.now();

  /**
   * The outcome of the handler's work, or a rejection as soon as the call is cut short, whatever the handler does.
   * Only the latest work is watched.
   */
  unlessCutShort<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#cutShort === undefined) {
        this.#rejectWork = reject;
      } else {
        reject(this.#cutShort);
      }
      work.then(resolve, reject);
    });
  }

  /** Calls the listener when the call is cut short. There is one listener. */
  onCut(listener: Listener): void {
    this.#onCut = listener;
  }

  /** Cuts the call short: who waits for the handler is told, and the signal is aborted. */
  cut(reason: ConnectError): void {
    if (this.#finished || this.#cutShort !== undefined) {
      return;
    }
    this.#cutShort = reason;
    this.#rejectWork?.(reason);
    this.#onCut?.(reason);
    this.#controller.abort(reason);
  }

  /** Cuts the call short because its deadline has passed, and sees to it that the caller is told in time. */
  cutAtDeadline(): void {
    const reason = deadlineExceeded();
    this.cut(reason);
    this.#timer = setTimeout(this.#overdue, UNWIND_MS, reason);
  }

  /** To be called when the answer is on its way: ends the timer, and aborts the signal as Connect does at the end. */
  finish(): void {
    this.#finished = true;
    clearTimeout(this.#timer);
    this.#controller.abort(ended);
  }

  #onCancelled(): void {
    clearTimeout(this.#timer);
    this.cut(
      this.timeoutMs() <= CLOCK_SLACK_MS
        ? deadlineExceeded()
        : new ConnectError("the client cancelled the call", Code.Canceled),
    );
  }
}

function onDeadline(call: GrpcCall): void {
  call.cutAtDeadline();
}

function deadlineExceeded(): ConnectError {
  return new ConnectError("the deadline has passed", Code.DeadlineExceeded);
}
