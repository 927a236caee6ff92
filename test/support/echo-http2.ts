import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";

/** A bare HTTP/2 client, for what well-behaved gRPC clients do not do. */
export class EchoHttp2 implements Disposable {
  readonly session: ClientHttp2Session;

  constructor(address: string) {
    this.session = connect(`http://${address}`);
    this.session.on("error", () => {});
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }

  /** Opens a gRPC call without sending a message. */
  open(path: string, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    const stream = this.session.request({
      ":method": "POST",
      ":path": path,
      te: "trailers",
      "content-type": "application/grpc",
      ...headers,
    });
    stream.on("error", () => {});
    return stream;
  }
}

/** A gRPC frame: a flag, the length and the message. */
export function frame(message: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}
