import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { RunningListener } from "../../../src/server/running-listener.ts";
import { type EchoHandlers, startEchoHttp } from "../../support/echo-server.ts";
import { writeTls } from "../../support/tls-on-disk.ts";

const handlers: EchoHandlers = {
  lookup: () => ({}),
  async *batchLookup() {
    yield {};
  },
};

const calls = [
  ["Lookup", "application/json", { "connect-timeout-ms": "300" }, /"code":"deadline_exceeded"/],
  ["Lookup", "application/grpc-web+proto", { "grpc-timeout": "300m" }, /grpc-status: 4\r\n/],
  ["BatchLookup", "application/connect+json", { "connect-timeout-ms": "300" }, /"code":"deadline_exceeded"/],
  ["BatchLookup", "application/grpc-web+proto", { "grpc-timeout": "300m" }, /grpc-status: 4\r\n/],
] as const;

let disk: Awaited<ReturnType<typeof writeTls>>;
let plain: RunningListener;
let secure: RunningListener;
beforeAll(async () => {
  disk = await writeTls();
  plain = await startEchoHttp(handlers);
  secure = await startEchoHttp(handlers, { tls: disk.tls });
});
afterAll(async () => {
  await secure[Symbol.asyncDispose]();
  await plain[Symbol.asyncDispose]();
  await disk[Symbol.asyncDispose]();
});

describe("a request whose body does not come", () => {
  test.each(calls)("is told so at the deadline of %s as %s over HTTP/1.1", async (method, type, timeout, expected) => {
    const socket = connectTcp(Number(plain.address.split(":")[1]), "127.0.0.1");
    const timeoutLine = Object.entries(timeout).map((pair) => pair.join(": "));
    const startedAt = performance.now();
    socket.write(
      `POST /vehicle.v1.VehicleService/${method} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\n` +
        `${timeoutLine.join("")}\r\nContent-Length: 100\r\n\r\n\0\0`,
    );

    let answer = "";
    socket.on("data", (piece: Buffer) => (answer += piece.toString()));
    await once(socket, "close");
    const tookMs = performance.now() - startedAt;

    expect(answer).toMatch(expected);
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(tookMs).toBeGreaterThan(290);
    expect(tookMs).toBeLessThan(800);
  });

  test.each(calls)("is told so at the deadline of %s as %s over HTTP/2", async (method, type, timeout, expected) => {
    const session = connectHttp2(`https://${secure.address}`, { ca: disk.ca, servername: "localhost" });
    const path = `/vehicle.v1.VehicleService/${method}`;
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": type, ...timeout });
    const startedAt = performance.now();
    stream.write(Buffer.alloc(2));

    let answer = "";
    stream.on("data", (piece: Buffer) => (answer += piece.toString()));
    await once(stream, "end");
    const tookMs = performance.now() - startedAt;
    await once(stream, "close");
    session.destroy();

    expect(answer).toMatch(expected);
    expect(tookMs).toBeGreaterThan(290);
    expect(tookMs).toBeLessThan(800);
  });
});
