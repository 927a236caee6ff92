import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";

type Peer = Pick<Socket, "remoteAddress" | "remotePort">;

/** The requests of a listener whose headers have arrived and whose answers have not gone, and on which connections. */
export class RunningRequests {
  readonly #running = new Map<ServerResponse, { readonly request: IncomingMessage; readonly peer: string }>();

  /** Remembers a request until its answer is gone, or its client. */
  add(request: IncomingMessage, response: ServerResponse): void {
    this.#running.set(response, { request, peer: nameOf(request.socket) });
    response.once("close", () => this.#running.delete(response));
  }

  /** Those of the connections that have none of them. */
  without(sockets: Iterable<Socket>): Socket[] {
    const peers = new Set(this.#running.values().map(({ peer }) => peer));
    return [...sockets].filter((socket) => !peers.has(nameOf(socket)));
  }

  /** Cuts those that have not arrived as a whole. */
  cutIncomplete(): void {
    for (const [response, { request }] of this.#running) {
      if (!hasArrived(request, response)) {
        response.destroy();
      }
    }
  }
}

/** A listener with TLS knows its connections as they are below TLS, and requests know only what is above: both have this. */
function nameOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress} ${remotePort}`;
}

/** Whether all of a request is here, read or not. */
function hasArrived(request: IncomingMessage, response: ServerResponse | Http2ServerResponse): boolean {
  return "stream" in response
    ? response.stream.state.state === constants.NGHTTP2_STREAM_STATE_HALF_CLOSED_REMOTE
    : request.complete;
}
