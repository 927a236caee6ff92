import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";
import { text as readText } from "node:stream/consumers";

import { grpcMessage } from "./http2-frames.ts";
import { BATCH_LOOKUP, EXPORT } from "./requests.ts";

export type Protocol = "gRPC" | "gRPC-Web" | "Connect";

/** One call as it is put on the wire. */
export interface PlainCall {
  readonly protocol: Protocol;
  readonly path: string;
  readonly isCompressed?: boolean;
  /** The body, envelopes included. */
  readonly body: Uint8Array;
  /** Whether more of the body never comes. */
  readonly isLeftOpen?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What became of a call: a gRPC status, 2 for all errors of Connect but RESOURCE_EXHAUSTED, and -1 for no answer. */
type Status = number;

const PATIENCE_MS = 10_000;
const OK = 0;
export const RESOURCE_EXHAUSTED = 8;
const OTHER = 2;
const NONE = -1;

/** Whether messages are in envelopes: only unary Connect is without. */
export function isEnveloped(protocol: Protocol, path: string): boolean {
  return protocol !== "Connect" || path === BATCH_LOOKUP || path === EXPORT;
}

/** A message as the protocol puts it on the wire. */
export function bodyOf(protocol: Protocol, path: string, message: Uint8Array, isCompressed = false): Uint8Array {
  return isEnveloped(protocol, path) ? grpcMessage(message, isCompressed) : message;
}

export function headersOf({ protocol, path, isCompressed, headers }: PlainCall): Record<string, string> {
  const isUnaryConnect = !isEnveloped(protocol, path);
  const types = {
    gRPC: "application/grpc",
    "gRPC-Web": "application/grpc-web+proto",
    Connect: isUnaryConnect ? "application/proto" : "application/connect+proto",
  };
  const encodings = {
    gRPC: "grpc-encoding",
    "gRPC-Web": "grpc-encoding",
    Connect: isUnaryConnect ? "content-encoding" : "connect-content-encoding",
  };
  return {
    "content-type": types[protocol],
    ...(protocol === "gRPC" ? { te: "trailers" } : {}),
    ...(isCompressed === true ? { [encodings[protocol]]: "gzip" } : {}),
    ...headers,
  };
}

/** Makes a call over HTTP/2, on a connection that may have others. */
export async function callHttp2(session: ClientHttp2Session, call: PlainCall): Promise<Status> {
  const { promise, resolve } = Promise.withResolvers<Status>();
  const stream = session.request({ ":method": "POST", ":path": call.path, ...headersOf(call) });
  let seen = "";
  let httpStatus = 0;
  const read = (headers: Record<string, unknown>): void => {
    httpStatus = Number(headers[":status"] ?? httpStatus);
    seen += headers["grpc-status"] === undefined ? "" : `grpc-status: ${String(Number(headers["grpc-status"]))}\n`;
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("data", (bytes: Buffer) => (seen += bytes.toString("latin1")));
  stream.on("error", () => {});
  stream.on("end", () => {
    // Who is answered before the request has ended need not send the rest.
    stream.close();
    resolve(statusIn(call.protocol, httpStatus, seen));
  });
  stream.on("close", () => resolve(NONE));
  stream.setTimeout(PATIENCE_MS, () => stream.close());
  stream.write(call.body);
  if (call.isLeftOpen !== true) {
    stream.end();
  }
  return promise;
}

/** Makes a call over HTTP/1.1, on a connection of its own unless another agent is given. */
export async function callHttp1(address: string, call: PlainCall): Promise<Status> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const outgoing = request(`http://${address}${call.path}`, {
    agent: false,
    method: "POST",
    headers: headersOf(call),
    timeout: PATIENCE_MS,
  });
  outgoing.on("response", resolve);
  outgoing.on("error", reject);
  outgoing.on("timeout", () => outgoing.destroy());
  outgoing.write(call.body);
  if (call.isLeftOpen !== true) {
    outgoing.end();
  }
  const response = await promise.catch(() => undefined);
  const text = await (response === undefined ? undefined : readText(response).catch(() => undefined));
  outgoing.destroy();
  if (response === undefined || text === undefined) {
    return NONE;
  }
  const status = response.headers["grpc-status"];
  const seen = status === undefined ? text : `grpc-status: ${status.toString()}\n${text}`;
  return statusIn(call.protocol, response.statusCode ?? 0, seen);
}

/**
 * One call on an HTTP/2 connection of its own.
 *
 * @param ca PEM of who signed the service's certificate, for https
 */
export async function callOnce(url: string, call: PlainCall, ca?: string): Promise<Status> {
  const session = connect(url, { ca });
  session.on("error", () => {});
  const status = await callHttp2(session, call);
  session.destroy();
  return status;
}

function statusIn(protocol: Protocol, httpStatus: number, seen: string): Status {
  if (/resource_exhausted|grpc-status: 8\b/.test(seen)) {
    return RESOURCE_EXHAUSTED;
  }
  const isOk = protocol === "Connect" ? httpStatus === 200 && !/"code":/.test(seen) : /grpc-status: 0/.test(seen);
  return isOk ? OK : OTHER;
}
