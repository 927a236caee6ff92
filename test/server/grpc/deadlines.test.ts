import { Code } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { decodeEcho, ECHO_PATH, HELLO, startEcho } from "../../support/echo-service.ts";

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
  [{}, 1],
  [{ "grpc-timeout": "99999999H" }, 2],
  [{ "grpc-timeout": "90M" }, 1.5],
])(
  "a call with %j has a time limit of at most the maximum, and its handler sees the time left",
  async (headers, hours) => {
    let leftMs: number | undefined;
    script.unary = ({ value }, { timeoutMs }) => {
      leftMs = timeoutMs();
      return { value };
    };

    const answer = await client.call(ECHO_PATH.unary, HELLO, headers);

    expect(answer.status).toBe(status.OK);
    // Rounded up to half an hour, because some time has passed.
    expect(Math.ceil((leftMs ?? 0) / HOUR_MS / 0.5) * 0.5).toBe(hours);
  },
);
