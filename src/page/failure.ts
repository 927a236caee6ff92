import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { toSentence, waitInWords } from "./words.ts";

/** The answer did not come from the service. */
class TransportError extends Error {
  override readonly name = "TransportError";
}

/** Why a call failed, for a person. */
export interface Failure {
  /** What the page does about it. */
  readonly kind: "token" | "scope" | "limited" | "not-decoded" | "transient" | "final" | "stopped";
  /** One sentence, or two. */
  readonly sentence: string;
  /** For `limited`: the sentence without when to try again. */
  readonly cause?: string;
  /** The service's own guess at the VIN. */
  readonly likelyVin?: string | undefined;
  /** When to try again, in ms from now. */
  readonly retryAfterMs?: number | undefined;
}

const NETWORK =
  "The service cannot be reached. It may have stopped, or this device is offline; the page works again when it answers.";
const BROKEN_OFF = "The connection broke off before the answer was complete.";
const DEFAULT_RETRY_MS = 1_000;

/**
 * Wraps `fetch` to distinguish a lost network, and answers from between the page and the service, from answers of the
 * service.
 */
export function watchedFetch(fetch: typeof globalThis.fetch): typeof globalThis.fetch {
  return async (input, init) => {
    let response;
    try {
      response = await fetch(input, init);
    } catch (error) {
      if (init?.signal?.aborted === true) {
        throw error;
      }
      throw new TransportError(NETWORK, { cause: error });
    }
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith("text/html")) {
      throw new TransportError(
        `A proxy answered instead of the service (HTTP ${response.status}, with a web page). Try again in a while.`,
      );
    }
    if (type.startsWith("text/plain")) {
      throw new TransportError(`HTTP ${response.status}: ${(await response.text()).trim().slice(0, 300)}`);
    }
    return response;
  };
}

/** An error with what its details say. */
interface Reported {
  readonly error: ConnectError;
  /** The reason of ErrorInfo; empty when there is none. */
  readonly reason: string;
  readonly likelyVin: string | undefined;
  readonly retryAfterMs: number | undefined;
}

const BY_CODE: Readonly<Partial<Record<Code, (reported: Reported) => Failure>>> = {
  [Code.Unauthenticated]: ({ reason }) => ({ kind: "token", sentence: tokenSentence(reason) }),
  [Code.PermissionDenied]: ({ error }) => ({ kind: "scope", sentence: toSentence(error.rawMessage) }),
  [Code.NotFound]: ({ error, likelyVin }) => ({
    kind: "not-decoded",
    sentence: toSentence(error.rawMessage),
    likelyVin,
  }),
  [Code.ResourceExhausted]: ({ error, reason, retryAfterMs }) =>
    reason === "MESSAGE_TOO_LARGE"
      ? { kind: "final", sentence: toSentence(error.rawMessage) }
      : limited(causeOfLimit(reason), retryAfterMs),
  [Code.Unavailable]: ({ error, reason, retryAfterMs }) => ({
    kind: "transient",
    sentence: unavailableSentence(error, reason, retryAfterMs),
    retryAfterMs,
  }),
  [Code.DeadlineExceeded]: () => ({ kind: "transient", sentence: "The service did not answer in time. Try again." }),
  [Code.Canceled]: () => ({ kind: "stopped", sentence: "Stopped." }),
  [Code.InvalidArgument]: finalUnlessCut,
  [Code.Internal]: finalUnlessCut,
};

/** Says in words why a call failed. */
export function toFailure(thrown: unknown): Failure {
  const error = ConnectError.from(thrown);
  if (error.cause instanceof TransportError) {
    return { kind: "transient", sentence: error.cause.message };
  }
  const [info] = error.findDetails(ErrorInfoSchema);
  const describe = BY_CODE[error.code] ?? cut;
  return describe({
    error,
    reason: info?.reason ?? "",
    likelyVin: info?.metadata["likely_vin"],
    retryAfterMs: retryAfterMsOf(error),
  });
}

/** Whether another token may help. */
export function wantsToken({ kind }: Failure): boolean {
  return kind === "token" || kind === "scope";
}

function cut(): Failure {
  return { kind: "transient", sentence: BROKEN_OFF };
}

/** Without details, Connect-Web made the error itself, because the answer was not whole. */
function finalUnlessCut({ error }: Reported): Failure {
  return error.details.length === 0 ? cut() : { kind: "final", sentence: toSentence(error.rawMessage) };
}

function retryAfterMsOf(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? undefined : Number(delay.seconds) * 1_000 + delay.nanos / 1e6;
}

function tokenSentence(reason: string): string {
  return reason === "TOKEN_UNKNOWN"
    ? "This token is unknown or has expired."
    : "This service needs a token. Ask the operator for one.";
}

function limited(cause: string, retryAfterMs: number | undefined): Failure {
  const wait = waitInWords(retryAfterMs ?? DEFAULT_RETRY_MS);
  return { kind: "limited", sentence: `${cause} Try again in ${wait}.`, cause, retryAfterMs };
}

function causeOfLimit(reason: string): string {
  switch (reason) {
    case "TOO_MANY_EXPORTS":
      return "Too many exports run at the moment.";
    case "OVERLOADED":
      return "The service is busy.";
    default:
      return "The rate limit of the service is reached.";
  }
}

function unavailableSentence(error: ConnectError, reason: string, retryAfterMs: number | undefined): string {
  const wait = retryAfterMs === undefined ? "in a while" : `in ${waitInWords(retryAfterMs)}`;
  switch (reason) {
    case "NO_SOURCE_AVAILABLE":
      return `Nothing is cached for this VIN, and neither vPIC nor the snapshot can answer now. Try again ${wait}.`;
    case "CACHE_UNAVAILABLE":
      return `The cache cannot be reached now. Try again ${wait}.`;
    case "":
      return `The service is not available (${error.rawMessage}). Try again ${wait}.`;
    default:
      return `${toSentence(error.rawMessage)} Try again ${wait}.`;
  }
}
