import { AsyncLocalStorage } from "node:async_hooks";
import { toLoggedError } from "./logged-error.ts";

/** A finished part of the work on a request. */
export interface RequestPart {
  readonly name: string;
  /** When it started, in ms on the monotonic clock. */
  readonly startedAt: number;
  /** When it ended, on the same clock. Default: now. */
  readonly endedAt?: number | undefined;
  /** Whether it was a request to another service. Default: false. */
  readonly isClient?: boolean;
  /** Attributes of the span, named by the semantic conventions of OpenTelemetry. Default: none. */
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /** Why it failed: a short type, and a message that is safe to show; undefined when it did not fail. */
  readonly fault?: { readonly type: string; readonly message: string } | undefined;
}

/** A request that is traced. */
export interface TracedRequest {
  readonly requestId: string;
  addPart(part: RequestPart): void;
}

/** The id of a request, or the request itself when it is traced. */
export type RequestContext = string | TracedRequest;

const requests = new AsyncLocalStorage<RequestContext>();

/**
 * Runs work on behalf of a request. Every line that the work logs has the request's id, including lines from later
 * asynchronous steps. Work that several requests share belongs to the one that started it.
 *
 * @param args for the work. V8 forgets how to optimize functions that exist only during a call, so frequent callers pass
 *   a lasting function and its arguments.
 */
export function onBehalfOf<Args extends unknown[], Result>(
  request: RequestContext,
  work: (...args: Args) => Result,
  ...args: Args
): Result {
  return requests.run(request, work, ...args);
}

/** The id of the request on whose behalf this code runs, if any. */
export function currentRequestId(): string | undefined {
  const request = requests.getStore();
  return typeof request === "string" ? request : request?.requestId;
}

/** The request on whose behalf this code runs, if it is traced. */
export function tracedRequest(): TracedRequest | undefined {
  const request = requests.getStore();
  return typeof request === "string" ? undefined : request;
}

/** Converts an error to a fault. As in the log, properties that database drivers add are left out. */
export function toFault(error: unknown): RequestPart["fault"] {
  const logged = toLoggedError(error);
  if (typeof logged === "string") {
    return { type: "_OTHER", message: logged };
  }
  const { type, message, cause } = logged;
  const reason = typeof cause === "object" ? `: ${cause.message}` : "";
  return { type, message: message + reason };
}
