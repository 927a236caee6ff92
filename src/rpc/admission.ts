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
import type { AccessGuard } from "../access/access-guard.ts";
import { OverloadedError } from "../access/errors.ts";
import type { LoadShedder } from "../access/load-shedder.ts";
import type { Logger } from "../telemetry/logger.ts";
import { toConnectError } from "./error-table.ts";

const RETRY_AFTER_MS = 1_000;

/** A whole answer of HTTP that is nothing but a refusal. */
interface WholeAnswer {
  readonly status: number;
  /** Names and values in turn. */
  readonly headers: readonly string[];
  /** A byte in each character. */
  readonly body: string;
}

/** What is known of a call before it is looked at. */
export interface Applicant {
  readonly authorization: string | undefined;
  /** Of the peer, without port. */
  readonly address: string;
}

/**
 * Asked for each call of the services before anything else: begins it, at once or soon, or gives the headers of a
 * refusal, names and values in turn.
 */
export type GrpcAdmission = (applicant: () => Applicant, begin: () => void) => readonly string[] | undefined;

/**
 * The same on HTTP, with a whole answer.
 *
 * @param contentType of the request, from which its protocol shows; empty for a GET
 */
export type HttpAdmission = (
  applicant: () => Applicant,
  contentType: string,
  begin: () => void,
) => WholeAnswer | undefined;

export interface AdmissionOptions {
  readonly shedder: Pick<LoadShedder, "admits">;
  /** Knows whose calls need not wait, since they would be refused anyway. */
  readonly guard: Pick<AccessGuard, "isWelcome">;
  readonly logger: Logger;
}

/**
 * Refuses calls for overload by answers that were encoded beforehand: a refusal that cost as much as an answer would
 * take from those that are let in.
 */
export function createAdmission({ shedder, guard, logger }: AdmissionOptions): {
  readonly overGrpc: GrpcAdmission;
  readonly overHttp: HttpAdmission;
} {
  const told = toConnectError(new OverloadedError(RETRY_AFTER_MS), { requestId: "", procedure: "", logger });
  const trailers = [...setTrailerStatus(new Headers(told.metadata), told)].flat();
  const metadata = [...told.metadata].flat();
  const grpc = [":status", "200", "content-type", "application/grpc", ...trailers];
  const answer = (status: number, headers: readonly string[], contentType: string, body: string): WholeAnswer => ({
    status,
    headers: [...headers, "content-type", contentType, "content-length", String(body.length)],
    body,
  });
  const errorAsJson = toLatin1(errorToJsonBytes(told, undefined));
  const unary = answer(codeToHttpStatus(told.code), metadata, "application/json", errorAsJson);
  const endOfStream = toLatin1(encodeEndOfStream(told));
  const admits = (applicant: () => Applicant, begin: () => void): boolean =>
    shedder.admits(begin, () => {
      const { authorization, address } = applicant();
      return guard.isWelcome(authorization, address);
    });
  return {
    overGrpc: (applicant, begin) => (admits(applicant, begin) ? undefined : grpc),
    overHttp(applicant, contentType, begin) {
      if (admits(applicant, begin)) {
        return undefined;
      }
      if (contentType.toLowerCase().startsWith("application/grpc-web")) {
        return answer(200, trailers, contentType, "");
      }
      return contentTypeStreamRegExp.test(contentType) ? answer(200, metadata, contentType, endOfStream) : unary;
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
