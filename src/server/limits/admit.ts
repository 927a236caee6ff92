import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

import type { Applicant, GrpcAdmission, HttpAdmission } from "../../rpc/admission.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import { withRequestId } from "../named-headers.ts";
import { isGone } from "./is-gone.ts";
import { refuseStream } from "./refuse-stream.ts";

/** Begins a gRPC call, at once or in its turn, or refuses it. One whose client gave up meanwhile is not begun. */
export function admitStream(
  admission: GrpcAdmission | undefined,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  begin: () => void,
): void {
  if (admission === undefined) {
    begin();
    return;
  }
  bearReset(stream);
  const refusal = admission(() => applicantOf(headers, stream.session?.socket), unlessReset(stream, begin));
  if (refusal !== undefined) {
    refuseStream(stream, withRequestId(refusal, idOf(headers)));
  }
}

/**
 * The same on HTTP, over HTTP/2.
 *
 * @param stream has a listener for errors: it may be reset while it waits
 * @returns whether it has begun or will begin
 */
export function admitHttpStream(
  admission: HttpAdmission | undefined,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  begin: () => void,
): boolean {
  if (admission === undefined) {
    begin();
    return true;
  }
  const applicant = (): Applicant => applicantOf(headers, stream.session?.socket);
  const refusal = admission(applicant, headers["content-type"] ?? "", unlessReset(stream, begin));
  if (refusal !== undefined) {
    const answer = [":status", String(refusal.status), ...refusal.headers];
    refuseStream(stream, withRequestId(answer, idOf(headers)), refusal.body);
  }
  return refusal === undefined;
}

/** The same on HTTP, once there are a request and a response. */
export function admitRequest(
  admission: HttpAdmission | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  begin: () => void,
): void {
  if (admission === undefined) {
    begin();
    return;
  }
  const { headers, socket } = request;
  const refusal = admission(
    () => applicantOf(headers, socket),
    headers["content-type"] ?? "",
    () => {
      if (!isGone(response)) {
        begin();
      }
    },
  );
  if (refusal !== undefined) {
    response.writeHead(refusal.status, [...refusal.headers, REQUEST_ID_HEADER, idOf(headers)]);
    // Text goes in one piece with the headers.
    response.end(refusal.body, "latin1");
  }
}

function applicantOf(
  { authorization }: IncomingHttpHeaders,
  socket: Pick<Socket, "remoteAddress"> | undefined,
): Applicant {
  return { authorization, address: socket?.remoteAddress ?? "unknown" };
}

function idOf(headers: IncomingHttpHeaders): string {
  return requestIdOf(headers[REQUEST_ID_HEADER]?.toString() ?? null);
}

/** A stream that waits may be reset meanwhile. */
function bearReset(stream: ServerHttp2Stream): void {
  if (stream.listenerCount("error") === 0) {
    stream.on("error", () => {});
  }
}

function unlessReset(stream: ServerHttp2Stream, begin: () => void): () => void {
  return () => {
    if (!stream.destroyed) {
      begin();
    }
  };
}
