import type { DescMessage, JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import type * as access from "../access/errors.ts";
import type { Refusal, RefusalReason } from "../access/access-guard.ts";
import type * as exports from "../export/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type * as vehicle from "../vehicle/errors.ts";
import { DomainError } from "../vehicle/errors.ts";

/** The exported errors of a module that are reported to callers. */
type ErrorsOf<Module> = {
  [Name in keyof Module]: Module[Name] extends new (...args: never[]) => infer Made
    ? Extract<Made, DomainError>
    : never;
}[keyof Module];

/** All domain errors that are reported to callers. A new one does not compile until the table has its reason. */
type KnownError = ErrorsOf<typeof vehicle> | ErrorsOf<typeof exports> | ErrorsOf<typeof access>;

/** Reasons of errors that come from the protocols, not from the domain. */
type ProtocolReason =
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
    message: "the cache is unavailable; nothing was changed",
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

/** The reasons of ConnectErrors without details. Connect and our codec throw them for requests that they reject. */
const REASON_OF_CODE: Readonly<Partial<Record<Code, ProtocolReason>>> = {
  [Code.InvalidArgument]: "MALFORMED_REQUEST",
  [Code.ResourceExhausted]: "MESSAGE_TOO_LARGE",
  [Code.Unimplemented]: "UNSUPPORTED",
  [Code.Canceled]: "CANCELED",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.Internal]: "INTERNAL",
};

/** Messages of Connect's INTERNAL errors that mean the request cannot be read. */
const MALFORMED_REQUEST = /^(parse binary:|decompression failed$|received compressed envelope, )/;

const NO_METADATA: Readonly<Record<string, string>> = {};
/** The header that HTTP requires with a 401. */
const CHALLENGE: Readonly<Record<string, string>> = { "www-authenticate": "Bearer" };

/** A google.rpc detail: a message, or already encoded. */
export type ErrorDetail = ConnectError["details"][number];
/** A detail that is not yet encoded. */
type MessageDetail<Desc extends DescMessage = DescMessage> = {
  readonly desc: Desc;
  readonly value: MessageInitShape<Desc>;
};

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

/** The request in which an error occurred, for the log and for the caller's questions. */
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
  const told = new ConnectError(message.toWellFormed(), code, metadata);
  told.details.push(...details);
  if (context.requestId !== "") {
    told.details.push(detail(RequestInfoSchema, { requestId: context.requestId }));
  }
  return told;
}

/** The code that a caller receives for an error. Logs nothing. */
export function codeOf(error: unknown): Code {
  return describeKnown(error)?.code ?? Code.Internal;
}

/** Whether an error already has a RequestInfo. */
function namesRequest({ details }: ConnectError): boolean {
  return details.some((each) => typeNameOf(each) === RequestInfoSchema.typeName);
}

/** Whether a detail is the ErrorInfo, which names the reason. */
export function isErrorInfo(each: ErrorDetail): each is MessageDetail<typeof ErrorInfoSchema> {
  return "desc" in each && each.desc.typeName === ErrorInfoSchema.typeName;
}

/** Creates the detail that names the reason of an error. */
function errorInfo(reason: string, metadata: Record<string, string> = {}): MessageDetail {
  return detail(ErrorInfoSchema, { reason, domain: "vehicle.v1", metadata });
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

function isKnownError(error: unknown): error is KnownError {
  return error instanceof DomainError && Object.hasOwn(ERROR_TABLE, error.reason);
}

function describeConnectError(error: ConnectError): ErrorDescription {
  if (error.code === Code.Internal && MALFORMED_REQUEST.test(error.rawMessage)) {
    return describe("MALFORMED_REQUEST");
  }
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

function retryInfo(retryAfterMs: number): MessageDetail {
  return detail(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(retryAfterMs)) });
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

function detail<Desc extends DescMessage>(desc: Desc, value: MessageInitShape<Desc>): MessageDetail<Desc> {
  return { desc, value };
}

function typeNameOf(each: ErrorDetail): string {
  return "desc" in each ? each.desc.typeName : each.type;
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

/**
 * Encodes a detail. Connect's JSON repeats the message in `debug`, but omits it for details that are already encoded.
 */
function encode(each: ErrorDetail): { type: string; value: Uint8Array; debug?: JsonValue } {
  if (!("desc" in each)) {
    return each;
  }
  const message = create(each.desc, each.value);
  return { type: each.desc.typeName, value: toBinary(each.desc, message), debug: toJson(each.desc, message) };
}
