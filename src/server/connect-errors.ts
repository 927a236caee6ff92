import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { isPreparedRefusal } from "../rpc/describe-error.ts";

/** The form of requests and answers. In `unary`, the message is the body. In the others, each message has a header. */
export type Form = "unary" | "stream" | "grpc-web";

/** A complete answer that contains only an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const NOTHING = new Uint8Array();

/** The encoded form of prepared refusals, by content type. */
const prepared = new WeakMap<ConnectError, Map<string, ErrorAnswer>>();

/**
 * Encodes an answer that contains only an error. A prepared refusal is encoded once for each content type.
 *
 * @param contentType the one of a successful answer in this form
 */
export function encodeError(error: ConnectError, form: Form, contentType: string): ErrorAnswer {
  if (!isPreparedRefusal(error)) {
    return encode(error, form, contentType);
  }
  const known = prepared.get(error) ?? new Map<string, ErrorAnswer>();
  prepared.set(error, known);
  const answer = known.get(contentType) ?? encode(error, form, contentType);
  known.set(contentType, answer);
  return answer;
}

function encode(error: ConnectError, form: Form, contentType: string): ErrorAnswer {
  if (form === "grpc-web") {
    const trailers = Object.fromEntries(setTrailerStatus(new Headers(), error));
    return { status: 200, headers: { ...trailers, "content-type": contentType }, body: NOTHING };
  }
  const metadata = Object.fromEntries(error.metadata);
  return form === "stream"
    ? {
        status: 200,
        headers: { ...metadata, "content-type": contentType },
        body: encodeEnd(form, new Headers(), error),
      }
    : {
        status: codeToHttpStatus(error.code),
        headers: { ...metadata, "content-type": "application/json" },
        body: errorToJsonBytes(error, undefined),
      };
}

/** Encodes the end of an answer that consists of messages: its trailers, and its error if it failed. */
export function encodeEnd(form: "stream" | "grpc-web", trailer: Headers, error?: ConnectError): Uint8Array {
  return form === "stream"
    ? encodeEnvelope(
        endStreamFlag,
        new TextEncoder().encode(JSON.stringify(endStreamToJson(trailer, error, undefined))),
      )
    : encodeEnvelope(trailerFlag, trailerSerialize(setTrailerStatus(trailer, error)));
}
