const HEAD_END = "\r\n\r\n";
const LAST_CHUNK = "\r\n0\r\n\r\n";
const STATUS_AT = "HTTP/1.1 ".length;

/** Splits the bytes of an HTTP/1.1 server into responses. Their bodies have a length or are chunked JSON. */
export class ResponseReader {
  readonly #onResponse: (status: number) => void;
  #rest = "";

  constructor(onResponse: (status: number) => void) {
    this.#onResponse = onResponse;
  }

  push(bytes: Buffer): void {
    this.#rest += bytes.toString("latin1");
    for (let end = endOfResponse(this.#rest); end !== undefined; end = endOfResponse(this.#rest)) {
      const status = Number(this.#rest.slice(STATUS_AT, STATUS_AT + 3));
      this.#rest = this.#rest.slice(end);
      this.#onResponse(status);
    }
  }
}

/** The end of the first response; undefined while it is incomplete. */
function endOfResponse(text: string): number | undefined {
  const headEnd = text.indexOf(HEAD_END);
  if (headEnd === -1) {
    return undefined;
  }
  const head = text.slice(0, headEnd).toLowerCase();
  if (head.includes("transfer-encoding: chunked")) {
    // An empty body has nothing but the last chunk, which then follows the head's last line break.
    const lastChunkAt = text.indexOf(LAST_CHUNK, headEnd + 2);
    return lastChunkAt === -1 ? undefined : lastChunkAt + LAST_CHUNK.length;
  }
  const length = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
  const end = headEnd + HEAD_END.length + length;
  return end <= text.length ? end : undefined;
}
