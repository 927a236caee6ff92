import type { UniversalServerResponse } from "@connectrpc/connect/protocol";

type Body = NonNullable<UniversalServerResponse["body"]>;

const message = "the request is not a valid protobuf message";
const connectEndFlag = 0x02;
const grpcWebTrailerFlag = 0x80;

/**
 * Connect answers a request that is not valid protobuf with INTERNAL, as if it were the server's fault. This makes
 * INVALID_ARGUMENT of it, in each of the protocols; any other response passes untouched.
 */
export async function blameMalformedRequest(response: UniversalServerResponse): Promise<UniversalServerResponse> {
  const type = response.header?.get("content-type") ?? "";
  if (response.body === undefined) {
    return response;
  }
  if (type === "application/json" && response.status === 500) {
    const bytes = await readAll(response.body);
    return rewriteError(bytes, response);
  }
  if (type.startsWith("application/connect+") || type.startsWith("application/grpc-web")) {
    return { ...response, body: rewriteFirst(response.body) };
  }
  return response;
}

function rewriteError(bytes: Buffer, response: UniversalServerResponse): UniversalServerResponse {
  const text = bytes.toString();
  const rewritten = inJson(text);
  if (rewritten === text) {
    return { ...response, body: once(bytes) };
  }
  const body = Buffer.from(rewritten);
  const header = new Headers(response.header);
  header.set("content-length", String(body.byteLength));
  return { ...response, status: 400, header, body: once(body) };
}

/** A malformed request fails before the first message, so the first envelope is the last one, too. */
async function* rewriteFirst(body: Body): Body {
  let first = true;
  for await (const chunk of body) {
    yield first ? rewriteEnvelope(chunk) : chunk;
    first = false;
  }
}

function rewriteEnvelope(chunk: Uint8Array): Uint8Array {
  const flag = chunk[0];
  if (flag !== connectEndFlag && flag !== grpcWebTrailerFlag) {
    return chunk;
  }
  const text = Buffer.from(chunk.subarray(5)).toString();
  const rewritten = flag === connectEndFlag ? inJson(text) : inTrailers(text);
  const payload = Buffer.from(rewritten);
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(payload.byteLength, 1);
  return Buffer.concat([head, payload]);
}

function inJson(text: string): string {
  return text.replace(
    /"code":"internal","message":"parse binary:(?:[^"\\]|\\.)*"/,
    `"code":"invalid_argument","message":${JSON.stringify(message)}`,
  );
}

function inTrailers(text: string): string {
  return /^grpc-message: parse%20binary%3A/m.test(text)
    ? text
        .replace(/^grpc-status: 13/m, "grpc-status: 3")
        .replace(/^grpc-message: .*$/m, `grpc-message: ${encodeURIComponent(message)}`)
    : text;
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
