import { createServer as createNetServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

import type { TlsCertificates } from "../tls/certificates.ts";

/** What becomes of connections. */
export interface SocketHandlers {
  /** Sees each new connection, before any handshake; may destroy it. */
  admit(socket: Socket): void;
  /** Takes what is left: a connection to talk over, and what was admitted, which is the same without TLS. */
  open(socket: Socket, admitted: Socket): void;
}

/** A server that does not listen yet, with TLS or without. */
export function createSocketListener(tls: TlsCertificates | undefined, handlers: SocketHandlers): Server {
  if (tls === undefined) {
    return createNetServer({ noDelay: true }, (socket) => {
      handlers.admit(socket);
      if (!socket.destroyed) {
        handlers.open(socket, socket);
      }
    });
  }
  const admitted = new Map<string, Socket>();
  const server = createTlsServer({ ...tls.serverOptions, noDelay: true, ALPNProtocols: ["h2"] });
  server.on("connection", (socket: Socket) => {
    handlers.admit(socket);
    const endpoints = endpointsOf(socket);
    admitted.set(endpoints, socket);
    socket.once("close", () => admitted.delete(endpoints));
  });
  server.on("secureConnection", (socket) => {
    const raw = admitted.get(endpointsOf(socket));
    if (raw === undefined || socket.alpnProtocol !== "h2") {
      // gRPC needs HTTP/2, and TLS clients have to ask for it.
      socket.destroy();
      return;
    }
    handlers.open(socket, raw);
  });
  // Handshakes that fail or take too long: Node leaves the connection open.
  server.on("tlsClientError", (_error, socket) => {
    socket.destroy();
  });
  tls.follow(server);
  return server;
}

function endpointsOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
