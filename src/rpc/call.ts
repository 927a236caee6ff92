import { randomUUID } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { ContextValues } from "@connectrpc/connect";
import { Code, ConnectError, createContextKey, createContextValues } from "@connectrpc/connect";
import type { Caller } from "../access/access-guard.ts";
import type { RequestContext, TracedRequest } from "../telemetry/request-context.ts";
import type { LookupPart, LookupResult } from "../vehicle/vehicle-lookup.ts";
import type { Vin } from "../vehicle/vin.ts";
import type { ServedMethod } from "./methods.ts";

/** The header with the request id, in requests and in responses. */
export const REQUEST_ID_HEADER = "x-request-id";

const ACCEPTABLE = /^[\w.:-]{1,64}$/;

/**
 * The prefix of all ids that this process creates. A counter follows it, because a random id for each call costs 1 us.
 */
const ID_PREFIX = randomUUID().slice(0, -12);
let lastId = 0;

/** The caller's id if it is a safe word of at most 64 characters; otherwise a new one. */
export function requestIdOf(given: string | readonly string[] | undefined): string {
  if (typeof given === "string" && ACCEPTABLE.test(given)) {
    return given;
  }
  lastId++;
  return ID_PREFIX + lastId.toString(16).padStart(12, "0");
}

/** The protocol of a call, as in the metrics. `http` is a plain request such as `GET /export.parquet`. */
export type Protocol = "grpc" | "grpc_web" | "connect" | "http";

/** What a transport knows about a call once its headers have arrived. */
export interface CallInit {
  readonly method: ServedMethod;
  readonly protocol: Protocol;
  readonly requestId: string;
  /** The peer's address, without port. */
  readonly address: string;
  /** The header, as sent. */
  readonly authorization: string | undefined;
  /** The headers, for tracing. Default: none. */
  readonly headers?: IncomingHttpHeaders;
  /** The request, such as `GET /export.parquet`. Default: the method's name. */
  readonly procedure?: string;
  /** The status of a plain request's answer; undefined before there is one. */
  readonly httpStatus?: () => number | undefined;
  /** The client's time limit, in ms; undefined when it sets none. */
  readonly timeoutMs: number | undefined;
  /** Called once, when the call has ended. */
  readonly onEnd?: (call: Call) => void;
}

/** Facts about a Lookup, for the log. */
export interface LookupNotes {
  readonly vin: Vin;
  /** Undefined until there is one. */
  readonly result: LookupResult | undefined;
  /** How long the caller waited for each part, in ms. */
  readonly waitedMs: Readonly<Partial<Record<LookupPart, number>>>;
}

const NO_HEADERS: IncomingHttpHeaders = {};
const NO_STATUS = (): undefined => undefined;

type EndListener = (code: Code | undefined) => void;

/** The abort reason after a call has ended normally. Made once: creating an error with its stack takes 4 us. */
const ENDED = new DOMException("the call has ended", "AbortError");

/**
 * One call from its arrival to its true end, in any protocol: the caller, the deadline and the outcome. Transports
 * create it; interceptors and handlers find it in their context values.
 */
export class Call {
  readonly method: ServedMethod;
  readonly protocol: Protocol;
  readonly id: string;
  readonly address: string;
  readonly authorization: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** The method or the plain request, for log and traces. */
  readonly procedure: string;
  readonly httpStatus: () => number | undefined;
  /** When its headers arrived, in ms on the monotonic clock. */
  readonly startedAt: number = performance.now();
  /** When its turn came, on the same clock; undefined before that. */
  begunAt: number | undefined;
  /** The deadline, in ms on the monotonic clock. */
  readonly deadlineAt: number;
  /** The caller; undefined until the call is admitted. */
  caller: Caller | undefined;
  /** Facts about its Lookup, if it is one. */
  lookup: LookupNotes | undefined;
  /** Undefined when it is not traced. */
  traced: TracedRequest | undefined;
  /** How many messages of a stream the handler has given. */
  givenMessages = 0;
  /** Whether the request was read and passed to the interceptors and the handler. */
  hasReachedHandler = false;
  /** Whether the request message was compressed. */
  isRequestCompressed = false;
  readonly #onEnd: ((call: Call) => void) | undefined;
  #endListeners: EndListener[] | undefined;
  #controller: AbortController | undefined;
  #cutBy: ConnectError | undefined;
  #hasEnded = false;
  #code: Code | undefined;

  constructor(init: CallInit) {
    const { method, protocol, requestId, address, authorization, timeoutMs, onEnd } = init;
    const { defaultTimeoutMs, maxTimeoutMs } = method.rule;
    this.method = method;
    this.protocol = protocol;
    this.id = requestId;
    this.address = address;
    this.authorization = authorization;
    this.headers = init.headers ?? NO_HEADERS;
    this.procedure = init.procedure ?? method.name;
    this.httpStatus = init.httpStatus ?? NO_STATUS;
    this.deadlineAt = this.startedAt + Math.min(timeoutMs ?? defaultTimeoutMs, maxTimeoutMs);
    this.#onEnd = onEnd;
  }

  /** Aborted when the call is cut short or has ended. Created on first use. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cutBy !== undefined || this.#hasEnded) {
        this.#controller.abort(this.#cutBy ?? ENDED);
      }
    }
    return this.#controller.signal;
  }

  /** Whether the answer is complete or the client has gone. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Why the call was cut short; undefined when it was not. */
  get cutBy(): ConnectError | undefined {
    return this.#cutBy;
  }

  /** The final code; undefined for success and before the end. */
  get code(): Code | undefined {
    return this.#code;
  }

  /** For {@link onBehalfOf}. */
  get context(): RequestContext {
    return this.traced ?? this.id;
  }

  /** The time left, in ms; negative when the deadline has passed. */
  timeoutMs(): number {
    return this.deadlineAt - performance.now();
  }

  /** How long it has run, in ms. */
  elapsedMs(): number {
    return performance.now() - this.startedAt;
  }

  /** Cuts the call short: aborts the signal. The transport then answers without waiting for the handler. */
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
   * Call this when the last byte of the answer has been handed over, or when there will be no answer. Repeated calls
   * have no effect.
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

/** Shared prototype of all context values, which are expensive to create for each call. */
const NO_VALUES = createContextValues();

/** Context values that hold a call, for interceptors and handlers. */
export function contextValuesOf(call: Call): ContextValues {
  const values: ContextValues = Object.create(NO_VALUES);
  return values.set(callKey, call);
}

/**
 * The call of an interceptor or a handler.
 *
 * @throws Error when the transport has not set one
 */
export function callOf(values: ContextValues): Call {
  const call = values.get(callKey);
  if (call === undefined) {
    throw new Error("a transport served a call without its Call");
  }
  return call;
}
