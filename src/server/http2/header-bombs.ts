import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

/**
 * What Node allows by default for one list of headers. It holds, like any limit of our own, only for clients that have
 * acknowledged it.
 */
const MAX_LIST_BYTES = 65_535;

/** What HTTP/2 counts for a header beside its name and value (RFC 9113, 6.5.2). */
const ENTRY_BYTES = 32;

/**
 * Ends the connection of a client that sends more headers than allowed, in a call or at its end, and says whether it
 * has. A header of 3,000 bytes that HPACK remembers is repeated at one byte each, so that a packet may unfold to
 * megabytes; with the connection ended at once, the first such call is the last one.
 *
 * @param rawHeaders as the event `stream` has them: names and values in turn, repeated ones too
 */
export function defuseHeaders(stream: ServerHttp2Stream, rawHeaders: readonly string[]): boolean {
  if (listBytes(rawHeaders) > MAX_LIST_BYTES) {
    endConnection(stream);
    return true;
  }
  stream.once("trailers", (_trailers: IncomingHttpHeaders, _flags: number, rawTrailers: readonly string[]) => {
    if (listBytes(rawTrailers) > MAX_LIST_BYTES) {
      endConnection(stream);
    }
  });
  return false;
}

/** The size of a list of headers as HTTP/2 counts it, in bytes. */
export function listBytes(rawHeaders: readonly string[]): number {
  let bytes = (rawHeaders.length / 2) * ENTRY_BYTES;
  for (const text of rawHeaders) {
    bytes += text.length;
  }
  return bytes;
}

function endConnection(stream: ServerHttp2Stream): void {
  stream.on("error", () => {});
  stream.session?.destroy();
}
