import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import { connect } from "node:http2";
import { text as readText } from "node:stream/consumers";

import { grpcMessage } from "./http2-frames.ts";
import { BATCH_LOOKUP } from "./requests.ts";

const PATIENCE_MS = 10_000;
const OK = 0;
const RESOURCE_EXHAUSTED = 8;
const OTHER = 2;

/** One call with these bytes as its message; gives the gRPC status, -1 without one. */
export function callGrpc(address: string, path: string, message: Uint8Array, isCompressed: boolean): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const session = connect(`http://${address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...(isCompressed ? { "grpc-encoding": "gzip" } : {}),
  });
  let status = -1;
  const read = (headers: Record<string, unknown>): void => {
    status = headers["grpc-status"] === undefined ? status : Number(headers["grpc-status"]);
  };
  session.on("error", () => resolve(-1));
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", () => {});
  stream.setTimeout(PATIENCE_MS, () => stream.close());
  stream.on("close", () => {
    session.destroy();
    resolve(status);
  });
  stream.resume();
  stream.end(grpcMessage(message, isCompressed));
  return promise;
}

/** The same over gRPC-Web or Connect; other errors than RESOURCE_EXHAUSTED are 2, and no answer is -1. */
export async function callHttp(
  address: string,
  protocol: "grpc-web" | "connect",
  path: string,
  message: Uint8Array,
  isCompressed: boolean,
): Promise<number> {
  const isEnveloped = protocol === "grpc-web" || path === BATCH_LOOKUP;
  const isUnaryConnect = !isEnveloped;
  const type =
    protocol === "grpc-web"
      ? "application/grpc-web+proto"
      : isUnaryConnect
        ? "application/proto"
        : "application/connect+proto";
  const encoding =
    protocol === "grpc-web" ? "grpc-encoding" : isUnaryConnect ? "content-encoding" : "connect-content-encoding";
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  // A connection of its own: the server may close it when it has not read the whole body.
  const call = request(`http://${address}${path}`, {
    agent: false,
    method: "POST",
    headers: { "content-type": type, ...(isCompressed ? { [encoding]: "gzip" } : {}) },
    timeout: PATIENCE_MS,
  });
  call.on("response", resolve);
  call.on("error", reject);
  call.end(isEnveloped ? grpcMessage(message, isCompressed) : message);
  const response = await promise.catch(() => undefined);
  if (response === undefined) {
    return -1;
  }
  const text = `${response.headers["grpc-status"]?.toString() ?? ""} ${await readText(response)}`;
  if (/resource_exhausted|grpc-status: 8|^8 /.test(text)) {
    return RESOURCE_EXHAUSTED;
  }
  const hasFailed =
    protocol === "grpc-web" ? !/grpc-status: 0/.test(text) : /"code":/.test(text) || response.statusCode !== 200;
  return hasFailed ? OTHER : OK;
}
