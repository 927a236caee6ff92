import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { expect, test } from "vitest";

import { startEchoHttp } from "../../support/echo-server.ts";

const PING = "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n";

function open(address: string): Socket {
  const [host, port] = address.split(":");
  return connect(Number(port), host).on("error", () => {});
}

test("a hundred requests in a row are answered, and a hundred more once they are", async () => {
  await using server = await startEchoHttp({}, {}, { "GET /ping": (_request, response) => void response.end("pong") });
  const socket = open(server.address);
  let answers = "";
  socket.on("data", (bytes) => (answers += bytes.toString()));

  const counts: number[] = [];
  for (const count of [100, 200]) {
    socket.write(PING.repeat(100));
    while (answers.split("pong").length - 1 < count) {
      await once(socket, "data");
    }
    counts.push(answers.split("pong").length - 1);
  }

  socket.destroy();

  expect(counts).toEqual([100, 200]);
});

test("a connection with more than a hundred requests that wait for their answers is closed", async () => {
  let begun = 0;
  await using server = await startEchoHttp({}, {}, { "GET /ping": () => void begun++ });
  const socket = open(server.address);

  socket.write(PING.repeat(500));
  await once(socket, "close");

  expect(begun).toBe(100);
});
