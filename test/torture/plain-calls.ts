import { once } from "node:events";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:http2";
import { text as readText } from "node:stream/consumers";
import { answerOf } from "../support/http2-client.ts";
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
  const stream = session.request({ ":method": "POST", ":path": call.path, ...headersOf(call) });
  // A client that is answered before its request has ended need not send the rest.
  stream.on("end", () => stream.close());
  stream.setTimeout(PATIENCE_MS, () => stream.close());
  stream.write(call.body);
  if (call.isLeftOpen !== true) {
    stream.end();
  }
  const { status, headers, trailers, body, code } = await answerOf(stream);
  return code === 0 ? statusIn(call.protocol, status, { ...headers, ...trailers }, body.toString("latin1")) : NONE;
}

async function callHttp1(url: string, call: PlainCall): Promise<Status> {
  const outgoing = request(`${url}${call.path}`, {
    agent: false,
    method: "POST",
    headers: headersOf(call),
    timeout: PATIENCE_MS,
  });
  outgoing.on("timeout", () => outgoing.destroy());
  outgoing.write(call.body);
  if (call.isLeftOpen !== true) {
    outgoing.end();
  }
  try {
    const [response]: IncomingMessage[] = await once(outgoing, "response");
    return response === undefined
      ? NONE
      : statusIn(call.protocol, response.statusCode, response.headers, await readText(response));
  } catch {
    return NONE;
  } finally {
    outgoing.destroy();
  }
}

/** @param headers with the trailers that HTTP/2 has */
function statusIn(
  protocol: Protocol,
  httpStatus: number | undefined,
  headers: IncomingHttpHeaders,
  body: string,
): Status {
  // Trailers of gRPC-Web are in the body, unless the answer has only trailers.
  const grpcStatus = headers["grpc-status"] ?? /grpc-status: (\d+)/.exec(body)?.[1];
  if (grpcStatus === "8" || body.includes("resource_exhausted")) {
    return RESOURCE_EXHAUSTED;
  }
  const isOk = protocol === "Connect" ? httpStatus === 200 && !body.includes('"code":') : grpcStatus === "0";
  return isOk ? OK : OTHER;
}
