import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, test } from "vitest";
import {
  callHeaders,
  data,
  FrameReader,
  FrameType,
  grpcMessage,
  headers,
  OPENING,
  resetStream,
} from "../support/http2-frames.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startTestApp } from "../support/test-app.ts";
import { callOn } from "./burst.ts";
import { GET_HEALTHZ, LOOKUP, LOOKUP_MESSAGE, REFLECTION } from "./requests.ts";

const EMPTY = grpcMessage(Buffer.alloc(0));
/** The requests that are begun and unanswered, and those that one slice of a read can have in addition. */
const MOST_PARSED = 8 + 1_024 / GET_HEALTHZ.byteLength + 1;
const WATCH =
  "POST /grpc.health.v1.Health/Watch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\n" +
  "Content-Length: 5\r\n\r\n\0\0\0\0\0";

/** Faults that attacks have found, each in its smallest form. */
test.each(["application/grpc", "application/grpc-web+proto", "application/connect+proto"])(
  "a stream of %s that its client resets is not logged as a fault",
  async (type) => {
    await using app = await startTestApp();
    using connection = await RawConnection.open(app.grpcAddress);
    using honest = await RawConnection.open(app.grpcAddress);
    const call = callHeaders(REFLECTION, "localhost", "10S", type);
    const answered = new Promise<void>((resolve) => {
      const frames = new FrameReader((frameType) => (frameType === FrameType.data ? resolve() : undefined));
      connection.tell((bytes) => frames.push(bytes));
    });

    await connection.send(Buffer.concat([OPENING, headers(1, call), data(1, EMPTY, false)]));
    await answered;
    await connection.send(resetStream(1));
    await callOn(honest, LOOKUP_MESSAGE);

    expect(app.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  },
);

test("requests behind one that never ends are not parsed", async () => {
  await using app = await startTestApp();
  using connection = await RawConnection.open(app.httpAddress);
  using honest = await RawConnection.open(app.httpAddress);
  let parsed = 0;
  const count = (): void => void parsed++;
  subscribe("http.server.request.start", count);
  const pipeline = Buffer.concat([Buffer.from(WATCH, "latin1"), ...Array.from({ length: 1_000 }, () => GET_HEALTHZ)]);

  await connection.read().send(pipeline);
  await callOn(honest, LOOKUP_MESSAGE);
  unsubscribe("http.server.request.start", count);

  expect(parsed).toBeGreaterThanOrEqual(8);
  expect(parsed).toBeLessThanOrEqual(MOST_PARSED);
});

test("calls without a message on one connection leave room for another connection", async () => {
  await using app = await startTestApp({ env: { MAX_CALLS_IN_FLIGHT: "10" } });
  using greedy = await RawConnection.open(app.grpcAddress);
  using honest = await RawConnection.open(app.grpcAddress);
  const calls = Array.from({ length: 20 }, (_, index) =>
    headers(2 * index + 1, callHeaders(LOOKUP, "localhost", "10S")),
  );
  const { promise: refused, resolve } = Promise.withResolvers<void>();
  let ended = 0;
  const frames = new FrameReader((_type, isEnd) => {
    ended += isEnd ? 1 : 0;
    if (ended === 10) {
      resolve();
    }
  });
  greedy.tell((bytes) => frames.push(bytes));

  await greedy.send(Buffer.concat([OPENING, ...calls]));
  await refused;

  await expect(callOn(honest, LOOKUP_MESSAGE)).resolves.toBe(true);
});
