import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:http2";
import { gunzipSync, gzipSync } from "node:zlib";
import { answerOf } from "./http2-client.ts";
import { grpcMessage } from "./http2-frames.ts";

/** A bare HTTP/2 client, for requests that well-behaved gRPC clients do not send. */
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
  open(path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const stream = this.session.request(
      {
        ":method": "POST",
        ":path": path,
        te: "trailers",
        "content-type": "application/grpc",
        ...headers,
      },
      { endStream: false },
    );
    stream.on("error", () => {});
    return stream;
  }

  /** Sends a whole request, and waits for the end of its answer. */
  async call(path: string, body: Uint8Array, headers: OutgoingHttpHeaders = {}): Promise<GrpcAnswer> {
    const stream = this.open(path, headers);
    const answer = readAnswer(stream);
    stream.end(body);
    return await answer;
  }
}

/** Everything that was received on a stream. */
export interface GrpcAnswer {
  readonly headers: IncomingHttpHeaders;
  /** Those of a trailers-only answer are its headers. */
  readonly trailers: IncomingHttpHeaders;
  /** The messages, decompressed. */
  readonly messages: readonly Buffer[];
  /** Whether each of them was compressed. */
  readonly compressed: readonly boolean[];
  /** `grpc-status`; undefined when there is none. */
  readonly status: number | undefined;
  /** `grpc-message`, decoded. */
  readonly message: string;
  readonly rstCode: number | undefined;
}

/** Reads a stream to its end, even if it fails. */
export async function readAnswer(stream: ClientHttp2Stream): Promise<GrpcAnswer> {
  const { headers, trailers, body, code } = await answerOf(stream);
  const isTrailersOnly = headers["grpc-status"] !== undefined;
  const end = isTrailersOnly ? headers : trailers;
  const frames = framesIn(body);
  return {
    headers,
    trailers: end,
    messages: frames.map(({ isCompressed, bytes }) => (isCompressed ? gunzipSync(bytes) : bytes)),
    compressed: frames.map(({ isCompressed }) => isCompressed),
    status: end["grpc-status"] === undefined ? undefined : Number(end["grpc-status"]),
    message: decodeURIComponent(end["grpc-message"]?.toString() ?? ""),
    rstCode: code,
  };
}

/** A gRPC frame: flags, the length and the message. */
export function frame(message: Uint8Array = new Uint8Array(), flags = 0): Buffer {
  const bytes = grpcMessage(message);
  bytes[0] = flags;
  return bytes;
}

/** A frame whose message is compressed. */
export function gzipFrame(message: Uint8Array): Buffer {
  return frame(gzipSync(message), 1);
}

function framesIn(body: Buffer): { readonly isCompressed: boolean; readonly bytes: Buffer }[] {
  const frames = [];
  for (let at = 0; at + 5 <= body.byteLength;) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    frames.push({ isCompressed: body[at] === 1, bytes: body.subarray(at + 5, end) });
    at = end;
  }
  return frames;
}
