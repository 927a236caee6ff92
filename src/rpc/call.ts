import { randomUUID } from "node:crypto";
import type { ContextValues } from "@connectrpc/connect";
import { Code, ConnectError, createContextKey, createContextValues } from "@connectrpc/connect";
import type { Caller } from "../access/access-guard.ts";
import type { ServedMethod } from "./methods.ts";

/** The header in which a caller may name its request, and in which errors name it. */
export const REQUEST_ID_HEADER = "x-request-id";

const ACCEPTABLE = /^[\w.:-]{1,64}$/;

/** The caller's own id when it is a harmless word of at most 64 characters, else a new one. */
export function requestIdOf(given: string | readonly string[] | undefined): string {
  return typeof given === "string" && ACCEPTABLE.test(given) ? given : randomUUID();
}

/** The protocol of a call, as metrics name it. `http` is a plain request such as `GET /export.parquet`. */
export type Protocol = "grpc" | "grpc_web" | "connect" | "http";

/** What a transport knows of a call when its headers have arrived. */
export interface CallInit {
  readonly method: ServedMethod;
  readonly protocol: Protocol;
  readonly requestId: string;
  /** The peer's address, without port. */
  readonly address: string;
  /** The header, as sent. */
  readonly authorization: string | undefined;
  /** The time that the client gives the call, in ms; undefined when it gives no deadline. */
  readonly timeoutMs: number | undefined;
  /** Called once, when the call has ended. */
  readonly onEnd?: (call: Call) => void;
}

type EndListener = (code: Code | undefined) => void;

/** What the signal of a call says that has ended by itself. Made once: an error with its stack costs 4 us. */
const ENDED = new DOMException("the call has ended", "AbortError");

/**
 * One call from its arrival to its true end, whatever its protocol: who calls, until when, and how it ended. Transports
 * make it once; interceptors and handlers find it in their context values.
 */
export class Call {
  readonly method: ServedMethod;
  readonly protocol: Protocol;
  readonly id: string;
  readonly address: string;
  readonly authorization: string | undefined;
  /** When its headers arrived, in ms on the monotonic clock. */
  readonly startedAt: number = performance.now();
  /** When it ends at the latest, in ms on the monotonic clock. */
  readonly deadlineAt: number;
  /** Who calls; undefined until the caller has been let in. */
  caller: Caller | undefined;
  /** The code of the error that the error table has given for it; undefined while there is none. */
  errorCode: Code | undefined;
  /** Whether its request could be read and has been handed to interceptors and handler. */
  hasReachedHandler = false;
  /** Whether the request message was compressed. */
  isRequestCompressed = false;
  readonly #onEnd: ((call: Call) => void) | undefined;
  #endListeners: EndListener[] | undefined;
  #controller: AbortController | undefined;
  #cutBy: ConnectError | undefined;
  #hasEnded = false;
  #code: Code | undefined;

  constructor({ method, protocol, requestId, address, authorization, timeoutMs, onEnd }: CallInit) {
    const { defaultTimeoutMs, maxTimeoutMs } = method.rule;
    this.method = method;
    this.protocol = protocol;
    this.id = requestId;
    this.address = address;
    this.authorization = authorization;
    this.deadlineAt = this.startedAt + Math.min(timeoutMs ?? defaultTimeoutMs, maxTimeoutMs);
    this.#onEnd = onEnd;
  }

  /** Aborted when the call is cut short or has ended. Made when somebody asks for it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cutBy !== undefined || this.#hasEnded) {
        this.#controller.abort(this.#cutBy ?? ENDED);
      }
    }
    return this.#controller.signal;
  }

  /** Whether the answer is complete or its client has gone. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Why it was cut short; undefined when it was not. */
  get cutBy(): ConnectError | undefined {
    return this.#cutBy;
  }

  /** How it ended; undefined for success, and before the end. */
  get code(): Code | undefined {
    return this.#code;
  }

  /** The time left, in ms; negative when the deadline has passed. */
  timeoutMs(): number {
    return this.deadlineAt - performance.now();
  }

  /** How long it has run, in ms. */
  elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** Cuts the call short: the signal is aborted. The transport answers by itself, whatever the handler does. */
  cut(reason: ConnectError): void {
    if (this.#hasEnded || this.#cutBy !== undefined) {
      return;
    }
    this.#cutBy = reason;
    this.#controller?.abort(reason);
  }

  /** Cuts the call short because its deadline has passed. */
  expire(): void {
    this.cut(new ConnectError("the deadline has passed", Code.DeadlineExceeded));
  }

  /** Cuts the call short because its client has gone, and ends it. */
  cancel(): void {
    if (!this.#hasEnded) {
      this.cut(new ConnectError("the client cancelled the call", Code.Canceled));
      this.end(Code.Canceled);
    }
  }

  /** Calls the listener at the end of the call. */
  onEnd(listener: EndListener): void {
    (this.#endListeners ??= []).push(listener);
  }

  /**
   * To be called when the last byte of the answer has been handed over, or when there will be none. Further calls change
   * nothing.
   *
   * @param code undefined for success
   */
  end(code: Code | undefined): void {
    if (this.#hasEnded) {
      return;
    }
    this.#hasEnded = true;
    this.#code = code;
    this.#controller?.abort(ENDED);
    for (const listener of this.#endListeners ?? []) {
      listener(code);
    }
    this.#onEnd?.(this);
  }
}

const callKey = createContextKey<Call | undefined>(undefined, { description: "call" });

/** Every call's values inherit from these: making them for each call costs more than what they hold. */
const NO_VALUES = createContextValues();

/** Context values that hold a call, for interceptors and handlers. */
export function contextValuesOf(call: Call): ContextValues {
  const values: ContextValues = Object.create(NO_VALUES);
  return values.set(callKey, call);
}

/**
 * The call that an interceptor or a handler works for.
 *
 * @throws Error when the transport has put none there
 */
export function callOf(values: ContextValues): Call {
  const call = values.get(callKey);
  if (call === undefined) {
    throw new Error("a transport served a call without its Call");
  }
  return call;
}
