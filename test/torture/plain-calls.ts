import type { IncomingMessage } from "node:http";
import { request } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";
import { text as readText } from "node:stream/consumers";
import { grpcMessage } from "../support/http2-frames.ts";
import { BATCH_LOOKUP, EXPORT } from "./requests.ts";

export type Protocol = "gRPC" | "gRPC-Web" | "Connect";

/** One call, as bytes on the wire. */
export interface PlainCall {
  readonly protocol: Protocol;
  readonly path: string;
  readonly isCompressed?: boolean;
  /** The body, envelopes included. */
  readonly body: Uint8Array;
  /** Whether the rest of the body never comes. */
  readonly isLeftOpen?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The outcome of a call: a gRPC status, 2 for all errors except RESOURCE_EXHAUSTED, and -1 for no answer. */
type Status = number;

const PATIENCE_MS = 60_000;
export const OK = 0;
export const RESOURCE_EXHAUSTED = 8;
const OTHER = 2;
const NONE = -1;

/** Whether messages are in envelopes. Only unary Connect has none. */
export function isEnveloped(protocol: Protocol, path: string): boolean {
  return protocol !== "Connect" || path === BATCH_LOOKUP || path === EXPORT;
}

/** A message, as bytes on the wire of the protocol. */
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
  const connectEncoding = isUnaryConnect ? "content-encoding" : "connect-content-encoding";
  const encoding = protocol === "Connect" ? connectEncoding : "grpc-encoding";
  return {
    "content-type": types[protocol],
    ...(protocol === "gRPC" ? { te: "trailers" } : {}),
    ...(isCompressed === true ? { [encoding]: "gzip" } : {}),
    ...headers,
  };
}

/** The server that is called: the URL of its HTTP port, and the authority of its certificate. */
interface Place {
  readonly url: string;
  readonly ca?: string | undefined;
}

/** Makes the same call many times at once: over HTTP/2 on one connection, over HTTP/1.1 on one connection each. */
export async function callTogether(
  { url, ca }: Place,
  { protocol }: { readonly protocol: "h2" | "http/1.1" },
  count: number,
  call: PlainCall,
): Promise<Status[]> {
  const each = { length: count };
  if (protocol === "http/1.1") {
    return await Promise.all(Array.from(each, () => callHttp1(url, call)));
  }
  // A hundred calls at once are more than clients usually make.
  const session = connect(url, { maxSessionMemory: 1_000, ...(ca === undefined ? {} : { ca }) });
  session.on("error", () => {});
  const statuses = await Promise.all(Array.from(each, () => callHttp2(session, call)));
  session.destroy();
  return statuses;
}

async function callHttp2(session: ClientHttp2Session, call: PlainCall): Promise<Status> {
  const { promise, resolve } = Promise.withResolvers<Status>();
  const stream = session.request({ ":method": "POST", ":path": call.path, ...headersOf(call) });
  let seen = "";
  let httpStatus = 0;
  const read = (headers: Record<string, unknown>): void => {
    httpStatus = Number(headers[":status"] ?? httpStatus);
    seen += headers["grpc-status"] === undefined ? "" : `grpc-status: ${Number(headers["grpc-status"])}\n`;
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("data", (bytes: Buffer) => (seen += bytes.toString("latin1")));
  stream.on("error", () => {});
  stream.on("end", () => {
    // A client that is answered before its request has ended need not send the rest.
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

async function callHttp1(url: string, call: PlainCall): Promise<Status> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const options = { agent: false, method: "POST", headers: headersOf(call), timeout: PATIENCE_MS };
  const outgoing = request(`${url}${call.path}`, options);
  outgoing.on("response", resolve);
  outgoing.on("error", reject);
  outgoing.on("timeout", () => outgoing.destroy());
  outgoing.write(call.body);
  if (call.isLeftOpen !== true) {
    outgoing.end();
  }
  try {
    const response = await promise;
    const text = await readText(response);
    const status = response.headers["grpc-status"]?.toString();
    const seen = status === undefined ? text : `grpc-status: ${status}\n${text}`;
    return statusIn(call.protocol, response.statusCode ?? 0, seen);
  } catch {
    return NONE;
  } finally {
    outgoing.destroy();
  }
}

function statusIn(protocol: Protocol, httpStatus: number, seen: string): Status {
  if (/resource_exhausted|grpc-status: 8\b/.test(seen)) {
    return RESOURCE_EXHAUSTED;
  }
  const isOk = protocol === "Connect" ? httpStatus === 200 && !/"code":/.test(seen) : /grpc-status: 0/.test(seen);
  return isOk ? OK : OTHER;
}
