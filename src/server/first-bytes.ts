import type { Socket } from "node:net";

/**
 * Reads the first bytes of a connection until `take` has seen enough. Closes the connection when they do not arrive in
 * time.
 *
 * @param take receives all bytes so far. When it has seen enough, it puts back the bytes that the next reader needs and
 *   returns true.
 */
export function onFirstBytes(socket: Socket, timeoutMs: number, take: (bytes: Buffer) => boolean): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const stop = (): void => {
    clearTimeout(timer);
    socket.off("close", stop);
  };
  const onReadable = (): void => {
    const bytes: Buffer | null = socket.read();
    if (bytes === null) {
      return;
    }
    seen = seen.byteLength === 0 ? bytes : Buffer.concat([seen, bytes]);
    // Removed before anything is put back, because the next reader chooses how it reads.
    socket.off("readable", onReadable);
    if (take(seen)) {
      stop();
    } else {
      socket.on("readable", onReadable);
    }
  };
  socket.on("readable", onReadable);
  socket.once("close", stop);
}
