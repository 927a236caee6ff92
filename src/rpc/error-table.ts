import { Code } from "@connectrpc/connect";
import type * as access from "../access/errors.ts";
import type { RefusalReason } from "../access/access-guard.ts";
import type * as exports from "../export/errors.ts";
import type * as vehicle from "../vehicle/errors.ts";
import { DomainError } from "../vehicle/errors.ts";

/** The exported errors of a module that are reported to callers. */
type ErrorsOf<Module> = {
  [Name in keyof Module]: Module[Name] extends new (...args: never[]) => infer Made
    ? Extract<Made, DomainError>
    : never;
}[keyof Module];

/** All domain errors that are reported to callers. A new one does not compile until the table has its reason. */
export type KnownError = ErrorsOf<typeof vehicle> | ErrorsOf<typeof exports> | ErrorsOf<typeof access>;

/** Reasons of errors that come from the protocols, not from the domain. */
export type ProtocolReason =
  | "MALFORMED_REQUEST"
  | "MESSAGE_TOO_LARGE"
  | "UNSUPPORTED"
  | "CANCELED"
  | "DEADLINE_EXCEEDED"
  | "INTERNAL";

/** Every reason for a failed call. */
export type Reason = KnownError["reason"] | RefusalReason | ProtocolReason;

interface ErrorRule {
  readonly code: Code;
  /** The message for callers. Default: the message of the error. */
  readonly message?: string;
  /** When a retry may succeed, in ms, unless the error says so itself. `never`: a retry will fail again. */
  readonly retryAfterMs?: number | "never";
  /** The status over plain HTTP. Default: Connect's for the code. */
  readonly httpStatus?: number;
  /** Whether it is logged as an error for the operator. Errors without a reason always are. */
  readonly isFault?: true;
}

/**
 * The one table of errors, for RPCs and plain HTTP: what callers receive for each reason. docs/errors.md describes it.
 */
export const ERROR_TABLE: Readonly<Record<Reason, ErrorRule>> = {
  INVALID_FIELD: { code: Code.InvalidArgument },
  MALFORMED_REQUEST: { code: Code.InvalidArgument, message: "the request could not be parsed" },
  VIN_NOT_DECODED: { code: Code.NotFound },
  NO_SOURCE_AVAILABLE: { code: Code.Unavailable },
  CACHE_UNAVAILABLE: {
    code: Code.Unavailable,
    message: "the cache is unavailable; repeat the call later",
    retryAfterMs: 1_000,
  },
  NO_ROOM_FOR_EXPORT: {
    code: Code.Unavailable,
    message: "not enough disk space for an export; contact the operator",
    retryAfterMs: 60_000,
    httpStatus: 507,
    isFault: true,
  },
  TOO_MANY_EXPORTS: { code: Code.ResourceExhausted, message: "too many exports are running" },
  RATE_LIMITED: { code: Code.ResourceExhausted, message: "rate limit exceeded" },
  TOO_MANY_STREAMS: {
    code: Code.ResourceExhausted,
    message: "too many streams of this method are open without a token; close some, or try again later",
  },
  OVERLOADED: { code: Code.ResourceExhausted, message: "the service is overloaded" },
  MESSAGE_TOO_LARGE: { code: Code.ResourceExhausted, message: "the request is too large", retryAfterMs: "never" },
  UNSUPPORTED: { code: Code.Unimplemented },
  TOKEN_MISSING: {
    code: Code.Unauthenticated,
    message: 'a token is required: send the header "authorization: Bearer <secret>"',
  },
  TOKEN_UNKNOWN: {
    code: Code.Unauthenticated,
    message: "the token is unknown or has expired; contact the operator",
  },
  SCOPE_MISSING: { code: Code.PermissionDenied },
  CANCELED: { code: Code.Canceled, message: "the caller canceled the call" },
  DEADLINE_EXCEEDED: { code: Code.DeadlineExceeded, message: "the deadline has passed" },
  INTERNAL: { code: Code.Internal },
};

/** Whether an error is in the table. */
export function isKnownError(error: unknown): error is KnownError {
  return error instanceof DomainError && Object.hasOwn(ERROR_TABLE, error.reason);
}
