import { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope, type UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamFromJson,
  endStreamToJson,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";

import { type ErrorContext, namesRequest, toConnectError } from "../rpc/error-table.ts";

type Body = NonNullable<UniversalServerResponse["body"]>;

/**
 * Connect answers requests that it cannot read before any interceptor runs, and malformed protobuf with INTERNAL, as if
 * it were the server's fault. This makes of such answers what the error table says, in each of the protocols; any other
 * response passes untouched.
 */
export async function tellMalformedRequest(
  response: UniversalServerResponse,
  context: ErrorContext,
): Promise<UniversalServerResponse> {
  const { header, status, body } = response;
  const type = header?.get("content-type") ?? "";
  if (body === undefined) {
    return response;
  }
  if (type === "application/json" && status >= 400 && header?.has("content-encoding") !== true) {
    return rewriteError(await readAll(body), response, context);
  }
  if (type.startsWith("application/connect+") || type.startsWith("application/grpc-web")) {
    return { ...response, body: rewriteFirst(body, context) };
  }
  return response;
}

function rewriteError(
  bytes: Buffer,
  response: UniversalServerResponse,
  context: ErrorContext,
): UniversalServerResponse {
  const error = errorFromJsonBytes(bytes, undefined, new ConnectError("not an error of Connect"));
  if (namesRequest(error)) {
    return { ...response, body: once(bytes) };
  }
  const told = toConnectError(error, context);
  const body = errorToJsonBytes(told, undefined);
  const header = new Headers(response.header);
  header.set("content-length", String(body.byteLength));
  return { ...response, status: codeToHttpStatus(told.code), header, body: once(body) };
}

/** A malformed request fails before the first message, so the first envelope is the last one, too. */
async function* rewriteFirst(body: Body, context: ErrorContext): Body {
  let first = true;
  for await (const chunk of body) {
    yield first ? rewriteEnvelope(chunk, context) : chunk;
    first = false;
  }
}

function rewriteEnvelope(chunk: Uint8Array, context: ErrorContext): Uint8Array {
  const flag = chunk[0];
  if (flag === endStreamFlag) {
    const { metadata, error } = endStreamFromJson(chunk.subarray(5));
    if (error !== undefined && !namesRequest(error)) {
      const end = endStreamToJson(metadata, toConnectError(error, context), undefined);
      return encodeEnvelope(flag, new TextEncoder().encode(JSON.stringify(end)));
    }
  }
  if (flag === trailerFlag) {
    const trailer = trailerParse(chunk.subarray(5));
    const error = findTrailerError(trailer);
    if (error !== undefined && !namesRequest(error)) {
      return encodeEnvelope(flag, trailerSerialize(setTrailerStatus(trailer, toConnectError(error, context))));
    }
  }
  return chunk;
}

async function readAll(body: Body): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function* once(bytes: Uint8Array): Body {
  yield bytes;
}
