import { constants, type ServerHttp2Stream } from "node:http2";

/** A call's HTTP/2 stream. grpc-js has no name for it, hence the look inside. */
export function streamOf(surface: object): ServerHttp2Stream | undefined {
  for (let part: unknown = surface; typeof part === "object" && part !== null;) {
    const stream: unknown = Reflect.get(part, "stream");
    if (isStream(stream)) {
      return stream;
    }
    part = Reflect.get(part, "call") ?? Reflect.get(part, "nextCall");
  }
  return undefined;
}

/**
 * Resets a call's HTTP/2 stream. A status waits behind what the client has not read, so a client that reads no more
 * can only be got rid of like this.
 */
export function resetStream(surface: object): void {
  streamOf(surface)?.close(constants.NGHTTP2_CANCEL);
}

function isStream(part: unknown): part is ServerHttp2Stream {
  return typeof part === "object" && part !== null && typeof Reflect.get(part, "close") === "function";
}
