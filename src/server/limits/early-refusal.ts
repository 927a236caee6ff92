import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";

import type { status } from "@grpc/grpc-js";

import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";

/** Asked for every call of the services before anything is known of it: the headers of a refusal, names and values. */
export type GrpcRefusal = () => readonly string[] | undefined;

/** The same on HTTP: a whole answer, made for the request's content type; the body has a byte in each character. */
export type HttpRefusal = (
  contentType: string,
) => { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string } | undefined;

/** Refuses a gRPC call if it is to be refused; says whether it was. */
export function refusesStream(refuseEarly: GrpcRefusal | undefined, stream: ServerHttp2Stream): boolean {
  const headers = refuseEarly?.();
  if (headers === undefined) {
    return false;
  }
  refuseStream(stream, headers);
  return true;
}

/** Answers a gRPC call with nothing but headers: names and values in turn. */
export function refuseStream(stream: ServerHttp2Stream, headers: readonly string[]): void {
  stream.on("error", () => {});
  stream.respond(headers, { endStream: true });
  // The request is not wanted any more.
  stream.resume();
}

/** Answers a gRPC call with a status alone, for those who are refused before grpc-js knows of them. */
export function refuseCall(stream: ServerHttp2Stream, code: status, message: string): void {
  refuseStream(stream, [
    ":status",
    "200",
    "content-type",
    "application/grpc",
    "grpc-status",
    String(code),
    "grpc-message",
    encodeURIComponent(message),
  ]);
}

/** Refuses an HTTP request if it is to be refused; says whether it was. */
export function refusesRequest(
  refuseEarly: HttpRefusal | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const refusal = refuseEarly?.(request.headers["content-type"] ?? "");
  if (refusal === undefined) {
    return false;
  }
  response.writeHead(refusal.status, {
    ...refusal.headers,
    [REQUEST_ID_HEADER]: requestIdOf(request.headers[REQUEST_ID_HEADER]?.toString() ?? null),
    "content-length": refusal.body.length,
  });
  // Text goes in one piece with the headers.
  response.end(refusal.body, "latin1");
  return true;
}
