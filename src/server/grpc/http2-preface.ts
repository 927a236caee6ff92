import type { Socket } from "node:net";

import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";

/** What an HTTP/2 client says first (RFC 9113, 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What another client is told. Its request is not read, so that an id it may have is not known. */
function notHttp2(): string {
  const headers = ["content-type: text/plain", "connection: close", `${REQUEST_ID_HEADER}: ${requestIdOf(null)}`];
  const text = "This port speaks gRPC over HTTP/2. HTTP/1.1, Connect and gRPC-Web have a port of their own.";
  return `HTTP/1.1 400 Bad Request\r\n${headers.join("\r\n")}\r\n\r\n${text}\n`;
}

/**
 * Hands a connection on once it has spoken like an HTTP/2 client, with all its bytes put back. One that stays silent
 * is closed after the time-out; one that says something else is told so.
 */
export function onceHttp2(socket: Socket, timeoutMs: number, handOn: () => void): void {
  let seen = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const onError = (): void => {
    socket.destroy();
  };
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("readable", onReadable);
    socket.off("close", stop);
  };
  const onReadable = (): void => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) {
      return;
    }
    seen = Buffer.concat([seen, bytes]);
    const length = Math.min(seen.byteLength, preface.byteLength);
    if (!seen.subarray(0, length).equals(preface.subarray(0, length))) {
      stop();
      socket.end(notHttp2());
      socket.destroySoon();
    } else if (length === preface.byteLength) {
      stop();
      socket.off("error", onError);
      socket.unshift(seen);
      handOn();
    }
  };
  socket.on("error", onError);
  socket.on("readable", onReadable);
  socket.once("close", stop);
}
