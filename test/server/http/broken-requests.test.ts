import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";

import { afterAll, beforeAll, expect, test } from "vitest";

import type { RunningListener } from "../../../src/server/running-listener.ts";
import { startEchoHttp } from "../../support/echo-server.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { type TlsOnDisk, writeTls } from "../../support/tls-on-disk.ts";

const LATE_MS = 200;
const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const log = new MemoryLogger();
const stack = new AsyncDisposableStack();
let disk: TlsOnDisk;
let plain: RunningListener;
let secure: RunningListener;

beforeAll(async () => {
  disk = stack.use(await writeTls());
  const times = { headersTimeoutMs: LATE_MS, arrivalTimeoutMs: LATE_MS };
  const handlers = {
    "POST /begun": (_request: unknown, response: { write(text: string): unknown }) => void response.write("begun"),
  };
  plain = stack.use(await startEchoHttp({}, { log, ...times }, handlers));
  secure = stack.use(await startEchoHttp({}, { log, ...times, tls: disk.tls }, handlers));
});

afterAll(() => stack.disposeAsync());

/** All that is answered on a connection until its end. */
async function answerTo(wire: string, text: string): Promise<string> {
  const port = Number((wire === "TLS" ? secure : plain).address.split(":")[1]);
  const socket = wire === "TLS" ? connectTls({ port, host: "localhost", ca: disk.ca }) : connectTcp(port, "127.0.0.1");
  socket.on("error", () => {});
  let answer = "";
  socket.on("data", (piece: Buffer) => (answer += piece.toString()));
  socket.write(text);
  await once(socket, "close");
  return answer;
}

const BROKEN = [
  ["no HTTP", "HELO there\r\n\r\n", "400 Bad Request"],
  [
    "too many headers",
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(17_000)}\r\n\r\n`,
    "431 Request Header Fields Too Large",
  ],
  ["headers that do not arrive", "GET / HTTP/1.1\r\nHost: a\r\n", "408 Request Timeout"],
] as const;

test.each(["TCP", "TLS"].flatMap((wire) => BROKEN.map(([what, text, status]) => [wire, what, text, status] as const)))(
  "over %s, %s has an answer with a request id, under which the log says why",
  async (wire, _what, text, status) => {
    log.lines.length = 0;

    const answer = await answerTo(wire, text);

    const [, requestId] = /\r\nx-request-id: ([\da-f-]{36})\r\n\r\n$/.exec(answer) ?? [];
    expect(answer.split("\r\n")[0]).toBe(`HTTP/1.1 ${status}`);
    expect(log.lines).toMatchObject([{ level: "debug", fields: { requestId, status } }]);
  },
);

test.each(["TCP", "TLS"])("over %s, a request without a host is refused under its own id", async (wire) => {
  const answer = await answerTo(wire, "GET /healthz HTTP/1.1\r\nX-Request-Id: mine\r\n\r\n");

  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toMatch(/\r\nx-request-id: mine\r\n/);
});

test.each(["TCP", "TLS"])(
  "over %s, a request that expects something unknown is refused under its own id",
  async (wire) => {
    const answer = await answerTo(wire, "GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\nX-Request-Id: mine\r\n\r\n");

    expect(answer).toMatch(/^HTTP\/1\.1 417 /);
    expect(answer).toMatch(/\r\nx-request-id: mine\r\n/);
  },
);

test("a request that breaks while it arrives is answered under its own id", async () => {
  const head = `POST ${LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-Request-Id: mine\r\n`;

  const answer = await answerTo("TCP", `${head}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\nno chunk\r\n`);

  expect(answer).toBe("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nx-request-id: mine\r\n\r\n");
});

test("an answer that has begun is not followed by another one", async () => {
  const chunk = "POST /begun HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nno chunk\r\n";

  const answer = await answerTo("TCP", chunk);

  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});
