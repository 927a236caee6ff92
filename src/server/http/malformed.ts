import { gunzipSync } from "node:zlib";

import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
import { compressedFlag, encodeEnvelope, type UniversalServerResponse } from "@connectrpc/connect/protocol";
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

import { namesRequest } from "../../rpc/error-table.ts";

type Body = NonNullable<UniversalServerResponse["body"]>;

/** Flags and length. */
const ENVELOPE_BYTES = 5;

/** What is told of an error that Connect has made by itself. */
type Tell = (error: ConnectError) => ConnectError;

/**
 * Connect answers requests that it cannot read before any interceptor runs, and malformed protobuf with INTERNAL, as if
 * it were the server's fault. This makes of such answers what the error table says, in each of the protocols; any other
 * response passes untouched.
 */
export async function tellMalformedRequest(
  response: UniversalServerResponse,
  tell: Tell,
): Promise<UniversalServerResponse> {
  const { header, status, body } = response;
  const type = header?.get("content-type") ?? "";
  if (body === undefined) {
    return response;
  }
  if (type === "application/json" && status >= 400) {
    return rewriteError(await readAll(body), response, tell);
  }
  if (type.startsWith("application/connect+") || type.startsWith("application/grpc-web")) {
    return { ...response, body: rewriteFirst(body, tell) };
  }
  return response;
}

/** The answer to a GET whose message is not the base64 that it says it is: Connect takes that for a fault of its own. */
export function refuseMalformedGet(target: string, tell: Tell): UniversalServerResponse | undefined {
  const { searchParams } = new URL(target, "http://localhost");
  if (searchParams.get("base64") !== "1") {
    return undefined;
  }
  try {
    base64Decode(searchParams.get("message") ?? "");
    return undefined;
  } catch {
    return toResponse(new ConnectError("the parameter message is not valid base64", Code.InvalidArgument), tell);
  }
}

function rewriteError(bytes: Buffer, response: UniversalServerResponse, tell: Tell): UniversalServerResponse {
  const json = response.header?.has("content-encoding") === true ? gunzipSync(bytes) : bytes;
  const error = errorFromJsonBytes(json, undefined, new ConnectError("not an error of Connect"));
  return namesRequest(error) ? { ...response, body: once(bytes) } : toResponse(error, tell, response.header);
}

function toResponse(error: ConnectError, tell: Tell, given?: Headers): UniversalServerResponse {
  const told = tell(error);
  const body = errorToJsonBytes(told, undefined);
  const header = new Headers([...(given ?? []), ...told.metadata]);
  header.delete("content-encoding");
  header.set("content-type", "application/json");
  header.set("content-length", String(body.byteLength));
  return { status: codeToHttpStatus(told.code), header, body: once(body) };
}

/** A malformed request fails before the first message, so the first envelope is the last one, too. */
async function* rewriteFirst(body: Body, tell: Tell): Body {
  let first = true;
  for await (const chunk of body) {
    yield first ? rewriteEnvelope(chunk, tell) : chunk;
    first = false;
  }
}

function rewriteEnvelope(chunk: Uint8Array, tell: Tell): Uint8Array {
  const [flags = 0] = chunk;
  const isLast = (flag: number): boolean => (flags & flag) !== 0;
  if (!isLast(endStreamFlag) && !isLast(trailerFlag)) {
    return chunk;
  }
  const payload = chunk.subarray(ENVELOPE_BYTES);
  const text = (flags & compressedFlag) === 0 ? payload : gunzipSync(payload);
  if (isLast(endStreamFlag)) {
    const { metadata, error } = endStreamFromJson(text);
    if (error !== undefined && !namesRequest(error)) {
      const end = endStreamToJson(metadata, tell(error), undefined);
      return encodeEnvelope(endStreamFlag, new TextEncoder().encode(JSON.stringify(end)));
    }
    return chunk;
  }
  const trailer = trailerParse(text);
  const error = findTrailerError(trailer);
  return error === undefined || namesRequest(error)
    ? chunk
    : encodeEnvelope(trailerFlag, trailerSerialize(setTrailerStatus(trailer, tell(error))));
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
