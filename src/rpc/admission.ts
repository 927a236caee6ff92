import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  contentTypeStreamRegExp,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { OverloadedError } from "../access/errors.ts";
import type { LoadShedder } from "../access/load-shedder.ts";
import type { Logger } from "../telemetry/logger.ts";
import { toConnectError } from "./error-table.ts";

const RETRY_AFTER_MS = 1_000;

/** A whole answer of HTTP that is nothing but a refusal. */
interface WholeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A byte in each character. */
  readonly body: string;
}

/**
 * Asked for each call of the services before anything is known of it: begins it, at once or soon, or gives the headers of
 * a refusal, names and values in turn.
 */
export type GrpcAdmission = (begin: () => void) => readonly string[] | undefined;

/**
 * The same on HTTP, with a whole answer.
 *
 * @param contentType of the request, from which its protocol shows; empty for a GET
 */
export type HttpAdmission = (contentType: string, begin: () => void) => WholeAnswer | undefined;

/**
 * Refuses calls for overload by answers that were encoded beforehand: a refusal that cost as much as an answer would
 * take from those that are let in.
 */
export function createAdmission(
  shedder: LoadShedder,
  logger: Logger,
): { readonly overGrpc: GrpcAdmission; readonly overHttp: HttpAdmission } {
  const told = toConnectError(new OverloadedError(RETRY_AFTER_MS), { requestId: "", procedure: "", logger });
  const trailers = Object.fromEntries(setTrailerStatus(new Headers(told.metadata), told));
  const metadata = Object.fromEntries(told.metadata);
  const grpc = [":status", "200", "content-type", "application/grpc", ...Object.entries(trailers).flat()];
  const unary: WholeAnswer = {
    status: codeToHttpStatus(told.code),
    headers: { ...metadata, "content-type": "application/json" },
    body: toLatin1(errorToJsonBytes(told, undefined)),
  };
  const endOfStream = toLatin1(encodeEndOfStream(told));
  return {
    overGrpc: (begin) => (shedder.admits(begin) ? undefined : grpc),
    overHttp(contentType, begin) {
      if (shedder.admits(begin)) {
        return undefined;
      }
      if (contentType.toLowerCase().startsWith("application/grpc-web")) {
        return { status: 200, headers: { ...trailers, "content-type": contentType }, body: "" };
      }
      return contentTypeStreamRegExp.test(contentType)
        ? { status: 200, headers: { ...metadata, "content-type": contentType }, body: endOfStream }
        : unary;
    },
  };
}

function encodeEndOfStream(told: ConnectError): Uint8Array {
  const json = JSON.stringify(endStreamToJson(new Headers(), told, undefined));
  return encodeEnvelope(endStreamFlag, new TextEncoder().encode(json));
}

function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
