import type { ClientHttp2Session, ClientHttp2Stream, ClientSessionOptions, IncomingHttpHeaders } from "node:http2";
import { connect } from "node:http2";

type RequestHeaders = Readonly<Record<string, string | string[]>>;

/** The outcome of a request over HTTP/2. */
export interface Http2Answer {
  /** Undefined when there was none. */
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders;
  /** The code with which the stream ended. */
  readonly code: number | undefined;
}

/** A bare HTTP/2 client. */
export class Http2Client implements Disposable {
  readonly session: ClientHttp2Session;
  /** Resolves with the code when the server has sent GOAWAY, or when the connection has closed. */
  readonly goaway: Promise<number | undefined>;
  readonly closed: Promise<void>;

  /** @param ca authority of the server's certificate, as PEM; with it, the client uses TLS */
  constructor(address: string, ca?: string, settings: ClientSessionOptions["settings"] = {}) {
    this.session =
      ca === undefined
        ? connect(`http://${address}`, { settings })
        : connect(`https://${address}`, { ca, servername: "localhost", settings });
    this.session.on("error", () => {});
    this.closed = new Promise((resolve) => {
      this.session.once("close", () => resolve());
    });
    this.goaway = new Promise((resolve) => {
      this.session.once("goaway", (code) => resolve(code));
      this.session.once("close", () => resolve(undefined));
    });
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }

  /** Opens a request without a body yet. */
  open(headers: RequestHeaders): ClientHttp2Stream {
    const stream = this.session.request(headers, { endStream: false });
    stream.on("error", () => {});
    return stream;
  }

  /** One whole request. */
  async request(headers: RequestHeaders, body?: string | Uint8Array): Promise<Http2Answer> {
    const stream = this.session.request(headers, { endStream: body === undefined });
    stream.on("error", () => {});
    if (body !== undefined) {
      stream.end(body);
    }
    return answerOf(stream);
  }
}

/** Resolves with the outcome of a request. */
export async function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (received) => (headers = received));
  stream.on("trailers", (received) => (trailers = received));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => {});
  await new Promise((resolve) => {
    stream.once("close", resolve);
  });
  const status = headers[":status"];
  return {
    status: status === undefined ? undefined : Number(status),
    headers,
    body: Buffer.concat(chunks),
    trailers,
    code: stream.rstCode,
  };
}
