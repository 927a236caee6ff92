import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

import type { Applicant, GrpcAdmission, HttpAdmission } from "../../rpc/admission.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import { isGone } from "./is-gone.ts";
import { refuseStream } from "./refuse-stream.ts";

/** Begins a gRPC call, at once or in its turn, or refuses it. One whose client gave up meanwhile is not begun. */
export function admitStream(
  admission: GrpcAdmission | undefined,
  stream: ServerHttp2Stream,
  { authorization, [REQUEST_ID_HEADER]: givenId }: IncomingHttpHeaders,
  begin: () => void,
): void {
  if (admission === undefined) {
    begin();
    return;
  }
  const applicant = (): Applicant => ({ authorization, address: addressOf(stream.session?.socket) });
  const refusal = admission(applicant, () => {
    if (!stream.destroyed) {
      begin();
    }
  });
  if (refusal !== undefined) {
    refuseStream(stream, [...refusal, REQUEST_ID_HEADER, requestIdOf(givenId?.toString() ?? null)]);
  } else if (stream.listenerCount("error") === 0) {
    // It waits, and may be reset meanwhile.
    stream.on("error", () => {});
  }
}

/** Begins the RPC of an HTTP request, at once or in its turn, or refuses it. */
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
  const { authorization, "content-type": contentType = "" } = request.headers;
  const applicant = (): Applicant => ({ authorization, address: addressOf(request.socket) });
  const refusal = admission(applicant, contentType, () => {
    if (!isGone(response)) {
      begin();
    }
  });
  if (refusal === undefined) {
    return;
  }
  const requestId = requestIdOf(request.headers[REQUEST_ID_HEADER]?.toString() ?? null);
  response.writeHead(refusal.status, [...refusal.headers, REQUEST_ID_HEADER, requestId]);
  // Text goes in one piece with the headers.
  response.end(refusal.body, "latin1");
}

function addressOf(socket: Pick<Socket, "remoteAddress"> | undefined): string {
  return socket?.remoteAddress ?? "unknown";
}
