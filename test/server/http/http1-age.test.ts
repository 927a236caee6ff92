import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";

import { expect, test } from "vitest";

import { startEchoHttp } from "../../support/echo-server.ts";
import { createAgeCheck } from "../../../src/server/http/http1-age.ts";

test.each([
  [0, "close"],
  [60_000, "keep-alive"],
])("over HTTP/1.1, connections of an age of %d ms are answered with connection: %s", async (ageMs, expected) => {
  await using server = await startEchoHttp({}, { sessions: { ageMs } });
  const agent = new Agent({ keepAlive: true });

  const [response]: IncomingMessage[] = await once(get(`http://${server.address}/`, { agent }), "response");
  response?.resume();
  agent.destroy();

  expect(response?.headers.connection).toBe(expected);
});

test("a connection ages from its first request on, each by itself, and HTTP/2 not here", () => {
  let now = 5_000;
  const isOld = createAgeCheck(100, () => now);
  const ask = (socket: object, httpVersionMajor = 1) => Reflect.apply(isOld, undefined, [{ socket, httpVersionMajor }]);
  const [first, second] = [{}, {}];

  const seen = [ask(first)];
  now += 99;
  seen.push(ask(first), ask(second));
  now += 1;
  seen.push(ask(first), ask(second), ask(first, 2));

  expect(seen).toEqual([false, false, false, true, false, false]);
});
