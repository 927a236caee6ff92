import { expect, test } from "vitest";
import type { Exchange } from "../../src/server/exchange.ts";
import { answerBytes, answerStream, answerText } from "../../src/server/exchange.ts";
import { eventually } from "../support/eventually.ts";
import { Http2Client } from "../support/http2-client.ts";
import { plainRequest } from "../support/plain-request.ts";
import { RawClient } from "../support/raw-client.ts";
import { answerAll, serve } from "../support/serve.ts";

test("a stream is not produced faster than its client reads it, and ends when its client leaves", async () => {
  const left = Promise.withResolvers<void>();
  let taken = 0;
  const endless = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        taken++;
        yield new Uint8Array(64 * 1_024);
      }
    } finally {
      left.resolve();
    }
  };
  await using server = await serve({
    plain: answerAll((exchange) => answerStream(exchange, 200, {}, endless())),
  });
  using client = await RawClient.open(server.port, { isDeaf: true });

  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const held = await eventually(async () => {
    const before = taken;
    // Answered meanwhile, so that the server has had time to produce more.
    await plainRequest(server.address, "OPTIONS", "/");
    expect([taken > 0, taken]).toEqual([true, before]);
    return taken;
  });
  client.socket.resume();
  await eventually(() => expect(taken).toBeGreaterThan(held));
  client.socket.destroy();

  await expect(left.promise).resolves.toBeUndefined();
});

test("a stream may be empty", async () => {
  const nothing = async function* (): AsyncGenerator<Uint8Array> {};
  await using server = await serve({
    plain: answerAll((exchange) => answerStream(exchange, 206, { "x-a": "b" }, nothing())),
  });

  const answer = await plainRequest(server.address, "GET", "/");

  expect(answer).toMatchObject({ status: 206, body: "" });
  expect(answer.headers["x-a"]).toBe("b");
});

test("an answer is sent only once", async () => {
  await using server = await serve({
    plain: answerAll((exchange) => {
      answerText(exchange, 200, "first");
      answerText(exchange, 500, "second");
      answerBytes(exchange, 500, {}, Buffer.from("third"));
    }),
  });
  using client = new Http2Client(server.address);

  const http1 = await plainRequest(server.address, "GET", "/");
  const http2 = await client.request({ ":path": "/" });

  expect([http1.status, http1.body]).toEqual([200, "first\n"]);
  expect([http2.status, http2.body.toString()]).toEqual([200, "first\n"]);
  expect(server.logger.lines).toEqual([]);
});

test("an answer is not sent to a client that has left", async () => {
  const exchanges: Exchange[] = [];
  await using server = await serve({ plain: answerAll((exchange) => void exchanges.push(exchange)) });
  const http1 = await RawClient.open(server.port);
  const http2 = new Http2Client(server.address);
  http1.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  void http2.request({ ":path": "/" });
  await eventually(() => expect(exchanges).toHaveLength(2));

  http1.socket.destroy();
  http2.session.destroy();
  await eventually(() => expect(exchanges.map(({ isClosed }) => isClosed)).toEqual([true, true]));
  for (const exchange of exchanges) {
    answerText(exchange, 200, "too late");
  }

  expect(exchanges.map(({ hasAnswered }) => hasAnswered)).toEqual([false, false]);
});
