import {
  callHeaders,
  data,
  FrameReader,
  grpcMessage,
  headers,
  literal,
  PREFACE,
  settings,
  windowUpdate,
} from "../support/http2-frames.ts";
import type { RawConnection } from "../support/raw-connection.ts";
import type { BATCH_LOOKUP } from "./requests.ts";
import { LOOKUP } from "./requests.ts";
import type { Target } from "./target.ts";

/** Many calls at once on each of several connections. */
export interface Burst {
  readonly what: string;
  readonly connections: number;
  /** Calls on each connection. */
  readonly calls: number;
  readonly protocol: "h2" | "http/1.1";
  readonly path: typeof LOOKUP | typeof BATCH_LOOKUP;
  /** The message of each call, in protobuf. */
  readonly message: Uint8Array;
  readonly authorization?: string;
}

/** The number of answers to a burst so far. */
export interface BurstProgress {
  readonly answered: number;
}

/** The beginning of each answer over HTTP/1.1. */
const STATUS_LINE = "HTTP/1.1 ";
const MAX_FRAME_BYTES = 16 * 1_024;

/**
 * Sends a burst, calls `onSent` when all of it is sent, and waits until all of it is answered.
 *
 * @param onSent its promise is awaited
 */
export async function sendBurst(
  target: Target,
  burst: Burst,
  onSent: (progress: BurstProgress) => Promise<void>,
): Promise<number> {
  using stack = new DisposableStack();
  const expected = burst.connections * burst.calls;
  const progress = { answered: 0 };
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const count = (answers: number): void => {
    progress.answered += answers;
    if (progress.answered >= expected) {
      resolve();
    }
  };
  const bytes = burst.protocol === "h2" ? http2Calls(burst) : http1Calls(burst);
  const connections = await Promise.all(
    Array.from({ length: burst.connections }, async (_, index) => {
      const port = index % 2 === 0 ? "grpc" : "http";
      return stack.use(await target.open(port, burst.protocol, `127.0.0.${2 + (index % 16)}`));
    }),
  );
  let open = connections.length;
  for (const connection of connections) {
    connection.tell(burst.protocol === "h2" ? countEnds(count) : countStatusLines(count));
    connection.socket.once("close", () => {
      open--;
      if (open === 0) {
        resolve();
      }
    });
  }
  await Promise.all(connections.map((connection) => connection.send(bytes)));
  await onSent(progress);
  await ended;
  return progress.answered;
}

/** Makes one call on an open HTTP/2 connection; resolves when it is answered, with whether it succeeded. */
export function callOn(connection: RawConnection, message: Uint8Array, authorization?: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let hasMessage = false;
  const frames = new FrameReader((type, isEnd, stream) => {
    hasMessage ||= type === 0 && stream === 1;
    if (isEnd && stream === 1) {
      resolve(hasMessage);
    }
  });
  connection.tell((bytes) => frames.push(bytes));
  connection.socket.once("close", () => resolve(false));
  const burst = { calls: 1, path: LOOKUP, message, ...(authorization === undefined ? {} : { authorization }) } as const;
  connection.socket.write(http2Calls(burst));
  return promise;
}

function http2Calls({
  calls,
  path,
  message,
  authorization,
}: Pick<Burst, "calls" | "path" | "message" | "authorization">): Buffer {
  const block = Buffer.concat([
    callHeaders(path, "localhost", "60S"),
    ...(authorization === undefined ? [] : [literal("authorization", authorization)]),
  ]);
  const body = grpcMessage(message);
  return Buffer.concat([
    PREFACE,
    // Larger windows than any answer needs.
    settings({ 4: 2 ** 30 }),
    windowUpdate(0, 2 ** 30),
    ...Array.from({ length: calls }, (_, index) => callFrames(2 * index + 1, block, body)),
  ]);
}

function callFrames(stream: number, block: Buffer, body: Buffer): Buffer {
  const frames = [headers(stream, block)];
  for (let at = 0; at < body.byteLength; at += MAX_FRAME_BYTES) {
    const end = at + MAX_FRAME_BYTES;
    frames.push(data(stream, body.subarray(at, end), end >= body.byteLength));
  }
  return Buffer.concat(frames);
}

function http1Calls({ calls, path, message, authorization }: Burst): Buffer {
  const isUnary = path === LOOKUP;
  const body = isUnary ? message : grpcMessage(message);
  const head =
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/${isUnary ? "" : "connect+"}proto\r\n` +
    (authorization === undefined ? "" : `Authorization: ${authorization}\r\n`) +
    `Content-Length: ${body.byteLength}\r\n\r\n`;
  return Buffer.concat(Array.from({ length: calls }, () => [Buffer.from(head), body]).flat());
}

function countEnds(count: (answers: number) => void): (bytes: Buffer) => void {
  const frames = new FrameReader((_type, isEnd) => count(isEnd ? 1 : 0));
  return (bytes) => frames.push(bytes);
}

function countStatusLines(count: (answers: number) => void): (bytes: Buffer) => void {
  let rest = "";
  return (bytes) => {
    const parts = (rest + bytes.toString("latin1")).split(STATUS_LINE);
    rest = (parts.at(-1) ?? "").slice(1 - STATUS_LINE.length);
    count(parts.length - 1);
  };
}
