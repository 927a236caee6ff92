import { Code } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { frame } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, startEcho } from "../../support/echo-service.ts";

const HELLO = frame(encodeEcho("hello"));
const HOUR_MS = 3_600_000;

const { script, server, client } = await startEcho({ defaultTimeoutMs: HOUR_MS, maxTimeoutMs: 2 * HOUR_MS });

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

const PASSED = ["0H", "0M", "0S", "0m", "0u", "0n", "1n"];
const MALFORMED = ["abc", "-1S", "1", "1S, 2S", "100000000S", "1.5S", "", "1s", "S", "1S x"];

test.each([
  ...PASSED.map((timeout) => [timeout, "DEADLINE_EXCEEDED"] as const),
  ...MALFORMED.map((timeout) => [timeout, "INVALID_ARGUMENT"] as const),
])("a call with the timeout %j is %s before it reaches its handler", async (timeout, code) => {
  let handled = 0;
  script.unary = ({ value }) => {
    handled++;
    return { value };
  };

  const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-timeout": timeout });

  expect([answer.status, handled]).toEqual([status[code], 0]);
});
