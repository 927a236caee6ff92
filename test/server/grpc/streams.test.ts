import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import type { HandlerContext } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import { EchoHttp2, frame, gzipFrame, readAnswer } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, HELLO, startEcho } from "../../support/echo-service.ts";
import { startTestServer } from "../../support/test-server.ts";

/** The initial HTTP/2 window of a stream: bytes that may be sent before the peer takes any. */
const WINDOW_BYTES = 65_535;
const PART = "A".repeat(32 * 1_024);

const { script, server } = await startEcho({ maxRequestBytes: 100_000 });
/** Each test has its own, because the messages that it does not read would block the others. */
let client: EchoHttp2;

beforeEach(() => {
  client = new EchoHttp2(server.address);
  return () => client[Symbol.dispose]();
});

/** Makes many calls on another connection, so that the server has finished everything else that it can do. */
async function letTheServerWork(): Promise<void> {
  using other = new EchoHttp2(server.address);
  for (let count = 0; count < 30; count++) {
    await other.call(ECHO_PATH.unary, HELLO);
  }
}

test("a client-streaming call delivers every message to the handler, even if it is compressed or split anywhere", async () => {
  const words = ["one", "two", "", "three"].map(encodeEcho);
  const body = Buffer.concat(words.flatMap((word) => [frame(word), gzipFrame(word)]));
  const stream = client.open(ECHO_PATH.clientStream, { "grpc-encoding": "gzip" });
  const answered = readAnswer(stream);

  for (let at = 0; at < body.byteLength; at += 7) {
    await new Promise((resolve) => {
      stream.write(body.subarray(at, at + 7), resolve);
    });
  }
  stream.end();

  expect((await answered).messages.map(decodeEcho)).toEqual(["one one two two   three three"]);
});

test("a bidirectional call may be answered before its client has sent anything, and is then closed", async () => {
  script.bidi = async function* () {
    yield { value: "welcome" };
  };

  const answer = await readAnswer(client.open(ECHO_PATH.bidi));

  expect(answer.messages.map(decodeEcho)).toEqual(["welcome"]);
  expect([answer.status, answer.rstCode]).toEqual([status.OK, constants.NGHTTP2_NO_ERROR]);
});

test("a reader that stops reading makes the handler wait, and gets everything when it resumes", async () => {
  let yielded = 0;
  script.serverStream = async function* () {
    for (; yielded < 100; yielded++) {
      yield { value: PART };
    }
  };
  const stream = client.open(ECHO_PATH.serverStream);
  stream.end(HELLO);
  await once(stream, "response");
  await letTheServerWork();

  const yieldedUnread = yielded;
  const answer = await readAnswer(stream);

  // The bytes in transit, the bytes that wait in the server, and the message that exceeded the limit.
  expect(yieldedUnread * PART.length).toBeLessThanOrEqual(2 * WINDOW_BYTES + PART.length);
  expect(answer.messages).toHaveLength(100);
  expect(answer.status).toBe(status.OK);
});

test("a handler that does not read makes its client wait, and gets everything when it resumes", async () => {
  const read = Promise.withResolvers<void>();
  script.clientStream = async (requests) => {
    await read.promise;
    const lengths = await Array.fromAsync(requests, ({ value }) => value.length);
    return { value: String(lengths.reduce((sum, length) => sum + length)) };
  };
  const stream = client.open(ECHO_PATH.clientStream);
  const part = frame(encodeEcho(PART));
  let takenBytes = 0;
  for (let count = 0; count < 100; count++) {
    stream.write(part, () => (takenBytes += part.byteLength));
  }
  stream.end();
  await letTheServerWork();

  const takenUnread = takenBytes;
  read.resolve();
  const answer = await readAnswer(stream);

  expect(takenUnread).toBeLessThanOrEqual(2 * WINDOW_BYTES + part.byteLength);
  expect(answer.messages.map(decodeEcho)).toEqual([String(100 * PART.length)]);
});

test("a call is cancelled when its client resets it without a reason, even if its handler has not read everything", async () => {
  script.clientStream = async (requests) => {
    await requests[Symbol.asyncIterator]().next();
    return new Promise(() => {});
  };
  const stream = client.open(ECHO_PATH.clientStream);
  stream.write(HELLO);
  await letTheServerWork();
  stream.write(HELLO);
  await letTheServerWork();
  const before = server.ended.length;

  stream.close(constants.NGHTTP2_NO_ERROR);
  await server.whenEnded(before + 1);

  expect(server.ended.at(-1)?.code).toBe(Code.Canceled);
  expect(server.server.calls.inFlight).toBe(0);
});

test("an answered call whose handler left its request unread is closed at the deadline at the latest", async () => {
  const proceed = Promise.withResolvers<void>();
  script.clientStream = async (requests) => {
    const messages = requests[Symbol.asyncIterator]();
    await messages.next();
    void messages.next();
    await proceed.promise;
    throw new ConnectError("enough", Code.Aborted);
  };
  await using own = await startTestServer(script.methods());
  using other = new EchoHttp2(own.address);
  const stream = other.open(ECHO_PATH.clientStream);
  const answer = readAnswer(stream);
  for (let count = 0; count < 3; count++) {
    stream.write(HELLO);
    await other.call(ECHO_PATH.unary, HELLO);
  }
  proceed.resolve();
  await answer;

  const drained = own.server.drain(600_000);
  const overdue = setInterval(() => own.endOverdueIn(700_000), 1);
  await drained;
  clearInterval(overdue);

  expect(own.ended.at(-1)?.code).toBe(Code.Aborted);
});

test.each(Object.entries(ECHO_PATH))(
  "the deadline of a %s call ends it even if its handler never ends",
  async (kind, path) => {
    const handler = script.hang();
    const before = server.ended.length;
    const call = client.call(path, HELLO, { "grpc-timeout": "1M" });
    const { signal } = await handler;

    server.endOverdueIn(60_000);

    const answer = await call;
    const expected = kind === "unary" || kind === "clientStream" ? [] : ["first"];
    expect(answer.messages.map(decodeEcho)).toEqual(expected);
    expect([answer.status, answer.message]).toEqual([status.DEADLINE_EXCEEDED, "the deadline has passed"]);
    expect(signal.reason).toMatchObject({ code: Code.DeadlineExceeded });
    expect(server.ended.slice(before).map(({ code }) => code)).toEqual([Code.DeadlineExceeded]);
    expect(server.logger.lines).toEqual([]);
  },
);

describe.each(Object.entries(ECHO_PATH))("a client of a %s call", (kind, path) => {
  /** A call whose handler has begun and never ends. */
  async function hang(): Promise<{ stream: ClientHttp2Stream; context: HandlerContext }> {
    const begun = script.hang();
    const stream = client.open(path);
    stream.resume();
    stream.write(HELLO);
    if (kind === "unary" || kind === "serverStream") {
      stream.end();
    }
    return { stream, context: await begun };
  }

  test.each<[string, (stream: ClientHttp2Stream) => void]>([
    ["cancels", (stream) => stream.close(constants.NGHTTP2_CANCEL)],
    ["resets it because of an internal error", (stream) => stream.close(constants.NGHTTP2_INTERNAL_ERROR)],
    ["disconnects", () => client.session.destroy()],
  ])("that %s aborts its handler's signal, and its call is Canceled and keeps no slot", async (_how, leave) => {
    const before = server.ended.length;
    const { stream, context } = await hang();
    const aborted = once(context.signal, "abort");

    leave(stream);
    await aborted;
    await server.whenEnded(before + 1);

    expect(context.signal.reason).toMatchObject({ code: Code.Canceled });
    expect(server.ended.slice(before).map(({ code }) => code)).toEqual([Code.Canceled]);
    expect(server.server.calls.inFlight).toBe(0);
    expect(server.logger.lines).toEqual([]);
  });
});
