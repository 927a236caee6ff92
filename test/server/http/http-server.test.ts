import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { ListenError } from "../../../src/server/listen.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { startEchoHttp } from "../../support/echo-server.ts";

/** Sends bytes as they are, and reads until the server closes. */
async function raw(address: string, request: string): Promise<string> {
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
  socket.end(request, "latin1");
  return await text(socket);
}

const POST_OF_9_BYTES =
  "POST /vehicle.v1.VehicleService/Lookup HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n";

describe("the HTTP listener", () => {
  test("serves the caller's own routes, with HEAD where there is GET", async () => {
    await using server = await startEchoHttp(
      {},
      {},
      { "GET /healthz": (_request, response) => void response.end("ok") },
    );

    const get = await fetch(`http://${server.address}/healthz?verbose`);
    const head = await fetch(`http://${server.address}/healthz`, { method: "HEAD" });

    await expect(get.text()).resolves.toBe("ok");
    expect(head.status).toBe(200);
  });

  test("tells what is served when nothing is found", async () => {
    await using server = await startEchoHttp({});

    const response = await fetch(`http://${server.address}/nothing`);

    expect(response.status).toBe(404);
    await expect(response.text()).resolves.toContain("/package.Service/Method");
  });

  test("tells which methods a path allows", async () => {
    await using server = await startEchoHttp(
      {},
      {},
      { "GET /healthz": (_request, response) => void response.end("ok") },
    );

    const response = await fetch(`http://${server.address}/healthz`, { method: "POST" });

    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe("GET, HEAD");
  });

  test.each([
    ["a page that is not there", "GET", "/nothing", 404],
    ["a method that is not allowed", "POST", "/healthz", 405],
    ["a content type that is not", "POST", "/vehicle.v1.VehicleService/Lookup", 415],
    ["a route", "GET", "/healthz", 200],
  ])("names the request in its answer: %s", async (_what, method, path, status) => {
    await using server = await startEchoHttp(
      {},
      {},
      { "GET /healthz": (_request, response) => void response.end("ok") },
    );
    const url = `http://${server.address}${path}`;

    const named = await fetch(url, { method, headers: { "x-request-id": "mine" } });
    const unnamed = await fetch(url, { method, headers: { "x-request-id": "not a word" } });

    expect([named.status, named.headers.get("x-request-id")]).toEqual([status, "mine"]);
    expect(unnamed.headers.get("x-request-id")).toMatch(/^[\da-f-]{36}$/);
  });

  test("answers 500 without a word about the cause when a route fails, and logs it", async () => {
    const log = new MemoryLogger();
    const cause = new Error("secret");
    await using server = await startEchoHttp({}, { log }, { "GET /x": async () => await Promise.reject(cause) });

    const response = await fetch(`http://${server.address}/x`, { headers: { "x-request-id": "mine" } });

    expect(response.status).toBe(500);
    await expect(response.text()).resolves.not.toContain("secret");
    expect(log.lines).toMatchObject([{ level: "error", fields: { requestId: "mine", err: cause } }]);
  });

  for (const host of ["a b", "[", "[::1", "%", "a:b:c", "a:99999999", "<>", "a@b:c@", "a^b", "a\r\nHost: a"]) {
    test(`answers 400 to the host ${JSON.stringify(host)} and goes on serving`, async () => {
      await using server = await startEchoHttp({ lookup: () => ({}) });
      const path = "/vehicle.v1.VehicleService/Lookup";

      const answer = await raw(
        server.address,
        `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
      );
      const next = await fetch(`http://${server.address}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });

      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(next.status).toBe(200);
    });
  }

  test("survives any host and any target", async () => {
    await using server = await startEchoHttp({ lookup: () => ({}) }, { connections: { maxNewPerAddress: Infinity } });
    const printable = fc.string({
      unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
    });
    const rpc = fc.constantFrom("/vehicle.v1.VehicleService/Lookup", "");

    await fc.assert(
      fc.asyncProperty(printable, rpc, printable, async (host, path, target) => {
        const answer = await raw(
          server.address,
          `GET ${path}${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
        );

        expect(answer).toMatch(/^HTTP\/1\.1 [24]\d\d /);
      }),
      { numRuns: 300 },
    );
  });

  test("says in one line that its port is in use", async () => {
    await using server = await startEchoHttp({});
    const port = Number(server.address.split(":")[1]);

    const error: unknown = await startEchoHttp({}, { port }).catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(ListenError);
    expect(error).toMatchObject({
      listener: "HTTP",
      host: "127.0.0.1",
      port,
      message: `HTTP: cannot listen on 127.0.0.1:${port}: the port is in use`,
    });
  });

  test("finishes running requests when drained, and takes no more connections", async () => {
    const arrived = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    await using server = await startEchoHttp(
      {},
      {},
      {
        "GET /slow": async (_request, response) => {
          arrived.resolve();
          await finish.promise;
          response.end("done");
        },
      },
    );
    const running = fetch(`http://${server.address}/slow`);
    await arrived.promise;

    const drained = server.drain(10_000);
    const refused = fetch(`http://${server.address}/slow`).then(
      () => "served",
      () => "refused",
    );

    await expect(refused).resolves.toBe("refused");
    finish.resolve();
    await expect((await running).text()).resolves.toBe("done");
    await expect(drained).resolves.toBeUndefined();
  });

  test("cuts what still runs at the end of the grace period", async () => {
    await using server = await startEchoHttp({}, {}, { "GET /never": async () => await new Promise(() => {}) });
    const socket = connect(Number(server.address.split(":")[1]), "127.0.0.1");
    socket.on("error", () => {});
    socket.write("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(socket, "connect");

    const startedAt = Date.now();
    await server.drain(100);

    expect(Date.now() - startedAt).toBeLessThan(1000);
    await once(socket, "close");
  });

  test.each([
    ["has said nothing", "", 1000],
    ["has sent half of the headers", "GET / HTTP/1.1\r\nHost:", 1000],
    ["is idle after an answer", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 1000],
    ["has sent no body", `${POST_OF_9_BYTES}1234`, 2000],
  ])("does not wait for a connection that %s when drained", async (_what, bytes, atMostMs) => {
    const answered = Promise.withResolvers<void>();
    await using server = await startEchoHttp(
      { lookup: () => ({}) },
      {},
      { "GET /healthz": (_request, response) => void response.end("ok", () => answered.resolve()) },
    );
    const socket = connect(Number(server.address.split(":")[1]), "127.0.0.1");
    socket.on("error", () => {});
    socket.resume();
    socket.write(bytes);
    // Taken after the socket, so that both are known.
    await (await fetch(`http://${server.address}/healthz`)).text();
    await answered.promise;

    const startedAt = Date.now();
    await server.drain(10_000);

    expect(Date.now() - startedAt).toBeLessThan(atMostMs);
  });

  test("answers a request whose body arrives while it is drained", async () => {
    await using server = await startEchoHttp({ lookup: ({ vin }) => ({ vin }) });
    const socket = connect(Number(server.address.split(":")[1]), "127.0.0.1");
    socket.write(POST_OF_9_BYTES);
    await (await fetch(`http://${server.address}/`)).text();

    const drained = server.drain(10_000);
    socket.write("{       }");
    const answer = text(socket);
    await drained;

    expect(await answer).toMatch(/^HTTP\/1\.1 200 /);
  });

  for (const [what, bytes] of [
    ["sends no headers", "GET / HTTP/1.1\r\nHost:"],
    ["says nothing", ""],
    [
      "sends no body",
      "POST /vehicle.v1.VehicleService/Lookup HTTP/1.1\r\nHost: a\r\nContent-Type: application/proto\r\nContent-Length: 9\r\n\r\n",
    ],
  ] as const) {
    test(`closes a connection that ${what}`, async () => {
      await using server = await startEchoHttp(
        { lookup: () => ({}) },
        { headersTimeoutMs: 200, arrivalTimeoutMs: 200 },
      );
      const socket = connect(Number(server.address.split(":")[1]), "127.0.0.1");
      socket.on("error", () => {});
      const startedAt = Date.now();
      socket.write(bytes);
      socket.resume();

      await once(socket, "close");

      expect(Date.now() - startedAt).toBeLessThan(2500);
    });
  }

  test("cuts a response whose client reads no more, and cleans up after the handler", async () => {
    const cleanedUp = Promise.withResolvers<void>();
    await using server = await startEchoHttp(
      {
        async *export() {
          try {
            for (;;) {
              yield { part: { case: "data" as const, value: new Uint8Array(256 * 1024) } };
            }
          } finally {
            cleanedUp.resolve();
          }
        },
      },
      { limits: { defaults: { stallTimeoutMs: 300 } } },
    );
    const socket = connect(Number(server.address.split(":")[1]), "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write(
      "POST /vehicle.v1.VehicleService/Export HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0",
    );

    await expect(cleanedUp.promise).resolves.toBeUndefined();
    socket.destroy();
  });

  test("takes no more connections from an address than allowed", async () => {
    await using server = await startEchoHttp({}, { connections: { maxOpenPerAddress: 1 } });
    const port = Number(server.address.split(":")[1]);
    const first = connect(port, "127.0.0.1");
    await once(first, "connect");
    const second = connect(port, "127.0.0.1");
    second.on("error", () => {});

    await once(second, "close");

    expect(first.closed).toBe(false);
    first.destroy();
  });

  test("refuses headers of more than 16 KiB", async () => {
    await using server = await startEchoHttp({});

    const answer = await raw(server.address, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(17 * 1024)}\r\n\r\n`);

    expect(answer).toMatch(/^HTTP\/1\.1 431 /);
  });
});
