import { constants } from "node:http2";

/**
 * Resets a call's HTTP/2 stream. A status waits behind what the client has not read, so a client that reads no more
 * can only be got rid of like this; grpc-js has no name for it, hence the look inside.
 */
export function resetStream(surface: object): void {
  for (let part: unknown = surface; typeof part === "object" && part !== null;) {
    const stream: unknown = Reflect.get(part, "stream");
    if (typeof stream === "object" && stream !== null) {
      const close: unknown = Reflect.get(stream, "close");
      if (typeof close === "function") {
        Reflect.apply(close, stream, [constants.NGHTTP2_CANCEL]);
      }
      return;
    }
    part = Reflect.get(part, "call") ?? Reflect.get(part, "nextCall");
  }
}
