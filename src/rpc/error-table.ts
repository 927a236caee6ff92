import { Code, ConnectError } from "@connectrpc/connect";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import {
  OverloadedError,
  RateLimitError,
  ScopeMissingError,
  TokenMissingError,
  TokenUnknownError,
} from "../access/errors.ts";
import { ExportLimitError, ExportStalledError, ExportStorageError } from "../export/errors.ts";
import {
  InvalidFieldError,
  NoSourceAvailableError,
  StoreUnavailableError,
  VinNotDecodedError,
} from "../vehicle/errors.ts";
import type { Logger } from "../telemetry/logger.ts";

type Detail = NonNullable<ConstructorParameters<typeof ConnectError>[3]>[number];

const STORE_RETRY_AFTER_MS = 1_000;

/** The reasons of errors that come from the protocols and not from the domain. */
const REASONS: Partial<Record<Code, string>> = {
  [Code.InvalidArgument]: "MALFORMED_REQUEST",
  [Code.DeadlineExceeded]: "DEADLINE_EXCEEDED",
  [Code.ResourceExhausted]: "MESSAGE_TOO_LARGE",
  [Code.Unimplemented]: "UNSUPPORTED",
  [Code.Internal]: "INTERNAL",
};

/** How Connect says INTERNAL of a request that is not valid protobuf, as if it were the server's fault. */
const MALFORMED_PROTOBUF = /^parse binary:/;

/** What HTTP wants beside a 401. */
const CHALLENGE = { "www-authenticate": "Bearer" };

/** Whose error it is: for the log, and for the caller to ask about it. */
export interface ErrorContext {
  readonly requestId: string;
  readonly procedure: string;
  readonly logger: Logger;
}

/**
 * What a caller is told of an error: the one table from errors of the domain to codes and details of google.rpc.
 *
 * A ConnectError keeps its code and message, and gets the details that it lacks. Anything unknown becomes INTERNAL with
 * one neutral sentence, and its cause is logged. What this function gave can be given to it again.
 */
export function toConnectError(error: unknown, context: ErrorContext): ConnectError {
  const told = tell(error) ?? hide(error, context);
  const reason = REASONS[told.code];
  if (told.details.length === 0 && reason !== undefined) {
    told.details.push(errorInfo(reason));
  }
  // Empty for a refusal that is made before there is a request.
  if (context.requestId !== "" && !namesRequest(told)) {
    told.details.push({ desc: RequestInfoSchema, value: { requestId: context.requestId } });
  }
  return told;
}

/** Whether an error says already whose it is. */
export function namesRequest({ details }: ConnectError): boolean {
  return details.some(
    (detail) => ("desc" in detail ? detail.desc.typeName : detail.type) === RequestInfoSchema.typeName,
  );
}

/** The code under which a caller is told of an error. */
export function codeOf(error: unknown): Code {
  return tell(error)?.code ?? Code.Internal;
}

function hide(error: unknown, { requestId, procedure, logger }: ErrorContext): ConnectError {
  logger.error("call failed", { requestId, procedure, err: error });
  return build(
    `something went wrong here, not with the request; the log has it under request id ${requestId}`,
    Code.Internal,
    [errorInfo("INTERNAL")],
  );
}

function tell(error: unknown): ConnectError | undefined {
  if (error instanceof ConnectError) {
    return error.code === Code.Internal && MALFORMED_PROTOBUF.test(error.rawMessage)
      ? build("the request is not a valid protobuf message", Code.InvalidArgument, [])
      : error;
  }
  if (error instanceof InvalidFieldError) {
    return build(error.message, Code.InvalidArgument, [
      {
        desc: BadRequestSchema,
        value: { fieldViolations: [{ field: error.field, description: error.description }] },
      },
    ]);
  }
  if (error instanceof VinNotDecodedError) {
    const codes = error.verdict.codes.join(",");
    return build(`${error.message}: ${error.verdict.text || `codes ${codes}`}`, Code.NotFound, [
      errorInfo("VIN_NOT_DECODED", { vin: error.query.vin, codes, text: error.verdict.text }),
    ]);
  }
  if (error instanceof NoSourceAvailableError) {
    return buildRetryable(error.message, Code.Unavailable, "NO_SOURCE_AVAILABLE", error.retryAfterMs);
  }
  if (error instanceof StoreUnavailableError) {
    const message = "the cache cannot do this now; nothing was changed";
    return buildRetryable(message, Code.Unavailable, "CACHE_UNAVAILABLE", STORE_RETRY_AFTER_MS);
  }
  if (error instanceof ExportLimitError) {
    return buildRetryable(error.message, Code.ResourceExhausted, "TOO_MANY_EXPORTS", error.retryAfterMs);
  }
  if (error instanceof ExportStorageError) {
    return build("the service has no room on its disk for an export now; the cache is unharmed", Code.Unavailable, [
      errorInfo("NO_ROOM_FOR_EXPORT"),
    ]);
  }
  if (error instanceof ExportStalledError) {
    return build("the export was not read for too long; start it again", Code.Aborted, [errorInfo("EXPORT_STALLED")]);
  }
  if (error instanceof TokenMissingError) {
    return build(error.message, Code.Unauthenticated, [errorInfo("TOKEN_MISSING")], CHALLENGE);
  }
  if (error instanceof TokenUnknownError) {
    return build(error.message, Code.Unauthenticated, [errorInfo("TOKEN_UNKNOWN")], CHALLENGE);
  }
  if (error instanceof ScopeMissingError) {
    return build(error.message, Code.PermissionDenied, [errorInfo("SCOPE_MISSING", { scope: error.scope })]);
  }
  if (error instanceof RateLimitError) {
    return buildRetryable(error.message, Code.ResourceExhausted, "RATE_LIMITED", error.retryAfterMs);
  }
  if (error instanceof OverloadedError) {
    return buildRetryable(error.message, Code.ResourceExhausted, "OVERLOADED", error.retryAfterMs);
  }
  // How an aborted signal says that the caller has gone, or that its time is up.
  if (error instanceof DOMException && error.name === "AbortError") {
    return build("the caller has gone", Code.Canceled, []);
  }
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return build("the deadline has passed", Code.DeadlineExceeded, []);
  }
  return undefined;
}

function build(message: string, code: Code, details: Detail[], metadata?: Record<string, string>): ConnectError {
  return new ConnectError(message, code, metadata, details);
}

/** Says when to come again twice: in a detail, and in the header that HTTP has for it (whole seconds). */
function buildRetryable(message: string, code: Code, reason: string, retryAfterMs: number): ConnectError {
  return build(message, code, [errorInfo(reason), retryInfo(retryAfterMs)], {
    "retry-after": String(Math.ceil(retryAfterMs / 1_000)),
  });
}

/** The detail that names the reason of an error. */
export function errorInfo(reason: string, metadata: Record<string, string> = {}): Detail {
  return { desc: ErrorInfoSchema, value: { reason, domain: "vehicle.v1", metadata } };
}

function retryInfo(retryAfterMs: number): Detail {
  return { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(Math.ceil(retryAfterMs)) } };
}
