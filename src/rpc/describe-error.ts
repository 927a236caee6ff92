import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { BadRequestSchema, ErrorInfoSchema, RequestInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { Refusal, RefusalReason } from "../access/access-guard.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { ErrorDetail, MessageDetail } from "./error-details.ts";
import { detail, encode, errorInfo, retryInfo, typeNameOf } from "./error-details.ts";
import type { KnownError, ProtocolReason, Reason } from "./error-table.ts";
import { ERROR_TABLE, isKnownError } from "./error-table.ts";

/** The reasons of ConnectErrors without details. These errors reject requests that cannot be parsed. */
const REASON_OF_CODE: Readonly<Partial<Record<Code, ProtocolReason>>> = {
  [Code.InvalidArgument]: "MALFORMED_REQUEST",
  [Code.ResourceExhausted]: "MESSAGE_TOO_LARGE",
  [Code.Unimplemented]: "UNSUPPORTED",
  [Code.Canceled]: "CANCELED",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.Internal]: "INTERNAL",
};

const NO_METADATA: Readonly<Record<string, string>> = {};
/** The header that HTTP requires with a 401. */
const CHALLENGE: Readonly<Record<string, string>> = { "www-authenticate": "Bearer" };

/** What a caller receives for an error, in any protocol. */
export interface ErrorDescription {
  readonly code: Code;
  /** A {@link Reason}, or the reason in the ErrorInfo of a ConnectError; undefined for codes without a reason. */
  readonly reason: string | undefined;
  readonly message: string;
  /** Without RequestInfo. */
  readonly details: readonly ErrorDetail[];
  /** Headers over HTTP, trailers over gRPC. Names are in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The status over plain HTTP. RPCs use the status of their protocol. */
  readonly httpStatus: number;
}

/** The request in which an error occurred, for the log and the caller. */
export interface ErrorContext {
  /** Empty before there is a request. */
  readonly requestId: string;
  readonly procedure: string;
  readonly logger: Logger;
}

/**
 * Describes an error for the caller. Captures no stack trace and encodes nothing, so that an answer with thousands of
 * errors is cheap.
 *
 * A ConnectError keeps its code, message, metadata and details. An unknown error becomes INTERNAL with one neutral
 * sentence; its cause is logged here and nowhere else.
 */
export function describeError(error: unknown, context: ErrorContext): ErrorDescription {
  const known = describeKnown(error);
  if (known === undefined) {
    logFault(error, context);
    const message = `internal error; quote request id ${context.requestId} when reporting it`;
    return describe("INTERNAL", { message });
  }
  if (isKnownError(error) && ERROR_TABLE[error.reason].isFault === true) {
    logFault(error, context);
  }
  return known;
}

/**
 * Converts an error to a ConnectError with the request id in RequestInfo. Results of this function and prepared
 * refusals are returned unchanged.
 */
export function toConnectError(error: unknown, context: ErrorContext): ConnectError {
  if (error instanceof ConnectError && (isPreparedRefusal(error) || namesRequest(error))) {
    return error;
  }
  const { code, message, details, metadata } = describeError(error, context);
  // Lone surrogates cannot be encoded.
  const connectError = new ConnectError(message.toWellFormed(), code, metadata);
  connectError.details.push(...details);
  if (context.requestId !== "") {
    connectError.details.push(detail(RequestInfoSchema, { requestId: context.requestId }));
  }
  return connectError;
}

/** Whether an error already has a RequestInfo. */
function namesRequest({ details }: ConnectError): boolean {
  return details.some((each) => typeNameOf(each) === RequestInfoSchema.typeName);
}

function describeKnown(error: unknown): ErrorDescription | undefined {
  if (error instanceof ConnectError) {
    return refusals.get(error) ?? describeConnectError(error);
  }
  if (isKnownError(error)) {
    return describe(error.reason, {
      message: ERROR_TABLE[error.reason].message ?? error.message,
      retryAfterMs: "retryAfterMs" in error ? error.retryAfterMs : undefined,
      details: [detailOf(error)],
    });
  }
  // The reasons of aborted signals: the caller has gone, or the deadline has passed.
  if (error instanceof DOMException && error.name === "AbortError") {
    return describe("CANCELED");
  }
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return describe("DEADLINE_EXCEEDED");
  }
  return undefined;
}

function describeConnectError(error: ConnectError): ErrorDescription {
  const reason = REASON_OF_CODE[error.code];
  if (reason !== undefined && error.details.length === 0) {
    const { metadata, ...description } = describe(reason, { message: error.rawMessage });
    return { ...description, metadata: { ...metadata, ...Object.fromEntries(error.metadata) } };
  }
  return {
    code: error.code,
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason ?? reason,
    message: error.rawMessage,
    details: error.details,
    metadata: Object.fromEntries(error.metadata),
    httpStatus: codeToHttpStatus(error.code),
  };
}

interface Specifics {
  /** Default: the table's. */
  readonly message?: string;
  /** Default: the table's. */
  readonly retryAfterMs?: number | undefined;
  /** Default: ErrorInfo with the reason. RetryInfo is added. */
  readonly details?: readonly MessageDetail[];
}

/** Describes an error by the table, with the specifics of this error. */
function describe(reason: Reason, specifics: Specifics = {}): ErrorDescription {
  const rule = ERROR_TABLE[reason];
  const { message = rule.message ?? "", retryAfterMs = rule.retryAfterMs, details = [errorInfo(reason)] } = specifics;
  return {
    code: rule.code,
    reason,
    message,
    details: typeof retryAfterMs === "number" ? [...details, retryInfo(retryAfterMs)] : details,
    metadata: rule.code === Code.Unauthenticated ? CHALLENGE : retryMetadata(retryAfterMs),
    httpStatus: rule.httpStatus ?? codeToHttpStatus(rule.code),
  };
}

function detailOf(error: KnownError): MessageDetail {
  if (error.reason === "INVALID_FIELD") {
    const { field, description } = error;
    return detail(BadRequestSchema, { fieldViolations: [{ field, description }] });
  }
  if (error.reason === "VIN_NOT_DECODED") {
    const { vin, codes, text, likelyVin } = error;
    const guess = likelyVin === undefined ? {} : { likely_vin: likelyVin };
    return errorInfo(error.reason, { vin, codes: codes.join(","), text, ...guess });
  }
  return error.reason === "SCOPE_MISSING" ? errorInfo(error.reason, { scope: error.scope }) : errorInfo(error.reason);
}

/**
 * RetryInfo as headers that clients act on by themselves: whole seconds for HTTP clients, ms for gRPC clients with a
 * retry policy. A negative number tells gRPC clients not to retry.
 */
function retryMetadata(retryAfterMs: number | "never" | undefined): Readonly<Record<string, string>> {
  if (retryAfterMs === undefined) {
    return NO_METADATA;
  }
  return retryAfterMs === "never"
    ? { "grpc-retry-pushback-ms": "-1" }
    : {
        "retry-after": String(Math.ceil(retryAfterMs / 1_000)),
        "grpc-retry-pushback-ms": String(Math.ceil(retryAfterMs)),
      };
}

function logFault(error: unknown, { requestId, procedure, logger }: ErrorContext): void {
  logger.error("call failed", { requestId, procedure, err: error });
}

/** Longer delays are reported as this one. A client that retries too early is refused again. */
const MAX_REFUSAL_DELAY_S = 3_600;

/** By reason, then by delay in seconds. */
const prepared: Readonly<Record<RefusalReason, ConnectError[]>> = {
  TOKEN_MISSING: [],
  TOKEN_UNKNOWN: [],
  RATE_LIMITED: [],
  TOO_MANY_STREAMS: [],
  OVERLOADED: [],
};
const refusals = new WeakMap<ConnectError, ErrorDescription>();

/**
 * The error for a refused call: one shared object for each reason and delay in seconds, with its details already
 * encoded, so that a refusal costs less than an answer. It has no RequestInfo because many calls share it; the request
 * id is only in the header. Do not change it.
 */
export function preparedRefusal({ reason, retryAfterMs }: Refusal): ConnectError {
  const seconds = roundDelay(retryAfterMs);
  return (prepared[reason][seconds] ??= prepare(reason, seconds));
}

/** Rounds up to whole seconds, and beyond a minute to whole minutes, so that few delays need to be prepared. */
function roundDelay(delayMs: number): number {
  const seconds = Math.ceil(delayMs / 1_000);
  return Math.min(seconds <= 60 ? seconds : Math.ceil(seconds / 60) * 60, MAX_REFUSAL_DELAY_S);
}

/** Whether an error came from {@link preparedRefusal}. */
export function isPreparedRefusal(error: unknown): boolean {
  return error instanceof ConnectError && refusals.has(error);
}

function prepare(reason: RefusalReason, seconds: number): ConnectError {
  const described = describe(reason, { retryAfterMs: seconds === 0 ? undefined : seconds * 1_000 });
  const description = { ...described, details: described.details.map(encode) };
  const error = new ConnectError(description.message, description.code, description.metadata);
  error.details.push(...description.details);
  refusals.set(error, description);
  return error;
}
