import { base64Decode } from "@bufbuild/protobuf/wire";
import { Code, ConnectError } from "@connectrpc/connect";
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

import { namesRequest } from "../../rpc/error-table.ts";

type Body = NonNullable<UniversalServerResponse["body"]>;

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
  if (type === "application/json" && status >= 400 && header?.has("content-encoding") !== true) {
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
  const error = errorFromJsonBytes(bytes, undefined, new ConnectError("not an error of Connect"));
  return namesRequest(error) ? { ...response, body: once(bytes) } : toResponse(error, tell, response.header);
}

function toResponse(error: ConnectError, tell: Tell, given?: Headers): UniversalServerResponse {
  const told = tell(error);
  const body = errorToJsonBytes(told, undefined);
  const header = new Headers([...(given ?? []), ...told.metadata]);
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
  const flag = chunk[0];
  if (flag === endStreamFlag) {
    const { metadata, error } = endStreamFromJson(chunk.subarray(5));
    if (error !== undefined && !namesRequest(error)) {
      const end = endStreamToJson(metadata, tell(error), undefined);
      return encodeEnvelope(flag, new TextEncoder().encode(JSON.stringify(end)));
    }
  }
  if (flag === trailerFlag) {
    const trailer = trailerParse(chunk.subarray(5));
    const error = findTrailerError(trailer);
    if (error !== undefined && !namesRequest(error)) {
      return encodeEnvelope(flag, trailerSerialize(setTrailerStatus(trailer, tell(error))));
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
