import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { CallInterceptor } from "../../../src/rpc/interceptors.ts";
import { EchoHttp2, frame, readAnswer } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, startEcho } from "../../support/echo-service.ts";
import { startTestServer } from "../../support/test-server.ts";

const HELLO = frame(encodeEcho("hello"));
const HOUR_MS = 3_600_000;
const KINDS = Object.entries(ECHO_PATH);

const { script, server, client } = await startEcho({ defaultTimeoutMs: HOUR_MS, maxTimeoutMs: 2 * HOUR_MS });

describe.each(KINDS)("the deadline of a %s call", (kind, path) => {
  test("ends it even if its handler never ends", async () => {
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
  });

  test("ends it even if the client never ends its request", async () => {
    void script.hang();
    const stream = client.open(path, { "grpc-timeout": "50m" });
    stream.write(HELLO);

    const answer = await readAnswer(stream);

    expect(answer.status).toBe(status.DEADLINE_EXCEEDED);
  });
});

test.each([
  [undefined, 1],
  ["99999999H", 2],
  ["90M", 1.5],
  ["3600000m", 1],
])(
  "a timeout of %s is accepted, limited to the maximum, and given to the handler as the time left",
  async (timeout, hours) => {
    let left: number | undefined;
    script.unary = ({ value }, { timeoutMs }) => {
      left = timeoutMs();
      return { value };
    };

    const headers = timeout === undefined ? {} : { "grpc-timeout": timeout };
    const answer = await client.call(ECHO_PATH.unary, HELLO, headers);

    expect(answer.status).toBe(status.OK);
    // Rounded up, because some time has passed.
    expect(Math.ceil((left ?? 0) / HOUR_MS / 0.5) * 0.5).toBe(hours);
  },
);

test.each(["0H", "0M", "0S", "0m", "0u", "0n", "1n"])(
  "a timeout of %s has passed before the call reaches its handler",
  async (timeout) => {
    let handled = 0;
    script.unary = ({ value }) => {
      handled++;
      return { value };
    };

    const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-timeout": timeout });

    expect([answer.status, handled]).toEqual([status.DEADLINE_EXCEEDED, 0]);
  },
);

test.each(["abc", "-1S", "1", "1S, 2S", "100000000S", "1.5S", "", "1s", "S", "1S x"])(
  "the malformed timeout %j is INVALID_ARGUMENT",
  async (timeout) => {
    const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-timeout": timeout });

    expect(answer.status).toBe(status.INVALID_ARGUMENT);
  },
);

test("a request that does not arrive is DEADLINE_EXCEEDED, with a reason", async () => {
  await using impatient = await startTestServer(script.methods(), {
    limits: { watch: { arrivalTimeoutMs: 50, lookMs: 5 } },
  });
  using other = new EchoHttp2(impatient.address);
  const stream = other.open(ECHO_PATH.unary);
  stream.write(HELLO.subarray(0, 4));

  const { status: code, message, headers } = await readAnswer(stream);

  const error = findTrailerError(
    new Headers({ "grpc-status-details-bin": String(headers["grpc-status-details-bin"]) }),
  );
  expect([code, message]).toEqual([status.DEADLINE_EXCEEDED, "the request did not arrive in time"]);
  expect(error?.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "DEADLINE_EXCEEDED" }]);
  expect(impatient.ended.map(({ code: ended }) => ended)).toEqual([Code.DeadlineExceeded]);
});

test("a client that does not read its answer is cut off at the deadline", async () => {
  script.serverStream = async function* () {
    for (;;) {
      yield { value: "A".repeat(32_000) };
    }
  };
  const before = server.ended.length;
  const stream = client.open(ECHO_PATH.serverStream, { "grpc-timeout": "100m" });
  const closed = once(stream, "close");
  stream.end(HELLO);

  await closed;
  await server.whenEnded(before + 1);

  expect(server.ended.slice(before).map(({ code }) => code)).toEqual([Code.DeadlineExceeded]);
  expect(server.server.calls.inFlight).toBe(0);
});

test("a call is ended at its deadline even if an interceptor waits forever, and the interceptor sees its signal", async () => {
  void script.hang();
  const seen: unknown[] = [];
  const reached = Promise.withResolvers<void>();
  const note: CallInterceptor = (next) => async (request) => {
    request.signal.addEventListener("abort", () => seen.push("aborted"));
    reached.resolve();
    return await next(request);
  };
  await using noting = await startTestServer(script.methods(), { interceptors: [note] });
  using other = new EchoHttp2(noting.address);

  // Without the service's own interceptor, nothing stops waiting for the handler, but the watch ends the call.
  const stream = other.open(ECHO_PATH.unary, { "grpc-timeout": "1M" });
  const closed = once(stream, "close");
  stream.end(HELLO);
  await reached.promise;

  noting.endOverdueIn(60_000);
  await closed;

  expect(seen).toEqual(["aborted"]);
  expect(noting.ended.map(({ code }) => code)).toEqual([Code.DeadlineExceeded]);
});

test("an error that a handler throws after the deadline changes nothing", async () => {
  const late = Promise.withResolvers<never>();
  // On a busy machine the deadline may pass before the handler runs.
  late.promise.catch(() => {});
  script.unary = () => late.promise;

  const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-timeout": "20m" });
  late.reject(new ConnectError("too late", Code.DataLoss));
  const next = await client.call(ECHO_PATH.unary, HELLO, { "grpc-timeout": "0n" });

  expect([answer.status, next.status]).toEqual([status.DEADLINE_EXCEEDED, status.DEADLINE_EXCEEDED]);
  expect(server.logger.lines).toEqual([]);
});
