import { gunzipSync } from "node:zlib";
import type { ConnectError } from "@connectrpc/connect";
import { compressedFlag, encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamFromJson,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";

/** The form of an error: HTTP status and JSON, or the last envelope of the body. */
export type ErrorForm = "unary" | "stream" | "grpc-web";

/** A complete answer that consists of an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The size of an envelope's header: flags and length. */
const ENVELOPE_BYTES = 5;
const NOTHING = new Uint8Array();

/**
 * Encodes an answer that consists of an error.
 *
 * @param contentType the content type of the request; streams are answered with the same
 */
export function encodeError(error: ConnectError, form: ErrorForm, contentType: string): ErrorAnswer {
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

/** Encodes the last envelope of a stream that fails. */
export function encodeEnd(form: "stream" | "grpc-web", trailer: Headers, error: ConnectError): Uint8Array {
  return form === "stream"
    ? encodeEnvelope(
        endStreamFlag,
        new TextEncoder().encode(JSON.stringify(endStreamToJson(trailer, error, undefined))),
      )
    : encodeEnvelope(trailerFlag, trailerSerialize(setTrailerStatus(trailer, error)));
}

/**
 * The error in the last envelope of a stream; undefined for success or any other envelope.
 *
 * @param chunk one envelope, as Connect's handlers produce it
 */
export function readEndError(
  form: "stream" | "grpc-web",
  chunk: Uint8Array,
): { readonly error: ConnectError; readonly trailer: Headers } | undefined {
  const [flags = 0] = chunk;
  if ((flags & (form === "stream" ? endStreamFlag : trailerFlag)) === 0) {
    return undefined;
  }
  const payload = chunk.subarray(ENVELOPE_BYTES);
  const text = (flags & compressedFlag) === 0 ? payload : gunzipSync(payload);
  if (form === "stream") {
    const { metadata, error } = endStreamFromJson(text);
    return error === undefined ? undefined : { error, trailer: metadata };
  }
  const trailer = trailerParse(text);
  const error = findTrailerError(trailer);
  return error === undefined ? undefined : { error, trailer: new Headers() };
}
