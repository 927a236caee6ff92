import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectTcp } from "node:net";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { createHttpListener } from "../../../src/server/http/listener.ts";
import { frame } from "../../support/echo-http2.ts";
import { type EchoHandlers, startEchoGrpc, startEchoHttp } from "../../support/echo-server.ts";
import { silentLogger } from "../../support/silent-logger.ts";
import { portOf } from "../../support/port-of.ts";
import { writeTls } from "../../support/tls-on-disk.ts";

const service = "/vehicle.v1.VehicleService";
const handlers: EchoHandlers = {
  lookup: () => ({ make: "M" }),
  async *batchLookup() {
    yield { vin: "a" };
  },
  async *export() {
    yield { part: { case: "data", value: new Uint8Array(1000) } };
  },
};
const patient = { defaults: { stallTimeoutMs: 60_000 } };
const impatient = { defaults: { stallTimeoutMs: 200 } };
const times = { headersTimeoutMs: 5000, arrivalTimeoutMs: 5000 };

let disk: Awaited<ReturnType<typeof writeTls>>;
beforeAll(async () => {
  disk = await writeTls();
});
afterAll(async () => {
  await disk[Symbol.asyncDispose]();
});

/** A client that lets the server send headers, but no bodies. */
class Unread implements Disposable {
  readonly session: ClientHttp2Session;

  constructor(url: string) {
    this.session = connect(url, { ca: disk.ca, servername: "localhost", settings: { initialWindowSize: 0 } });
    this.session.on("error", () => {});
  }

  [Symbol.dispose](): void {
    this.session.destroy();
  }

  get(): ClientHttp2Stream {
    return silent(this.session.request({ ":path": "/" }));
  }

  post(method: string, type: string, headers: Readonly<Record<string, string>>, body: Buffer): ClientHttp2Stream {
    const path = method.startsWith("/") ? method : `${service}/${method}`;
    const stream = this.session.request({ ":method": "POST", ":path": path, "content-type": type, ...headers });
    stream.end(body);
    return silent(stream);
  }
}

function silent(stream: ClientHttp2Stream): ClientHttp2Stream {
  stream.on("error", () => {});
  stream.resume();
  return stream;
}

/** When a stream has been reset, in ms from now. */
async function resetAfter(stream: ClientHttp2Stream): Promise<number> {
  const startedAt = performance.now();
  await once(stream, "close");
  expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
  return performance.now() - startedAt;
}

/** A listener for an answer to everything that is given at once. */
async function listenWith(body: Buffer, tls: "tls" | "plain") {
  const server = createHttpListener(
    { ...times, stallTimeoutMs: 200, logger: silentLogger, ...(tls === "tls" ? { tls: disk.tls } : {}) },
    (_request, response) => {
      response.end(body);
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    server,
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}

describe("a small answer that its client does not read", () => {
  test.each(["Lookup", "BatchLookup", "Export"])("is reset over gRPC at the deadline of %s", async (method) => {
    await using server = await startEchoGrpc(handlers, { limits: patient });
    using client = new Unread(`http://${server.address}`);

    const tookMs = await resetAfter(
      client.post(method, "application/grpc", { te: "trailers", "grpc-timeout": "300m" }, frame()),
    );

    expect(tookMs).toBeGreaterThan(290);
    expect(tookMs).toBeLessThan(800);
  });

  test.each(["Lookup", "BatchLookup", "Export", "/grpc.health.v1.Health/Check"])(
    "is reset over gRPC at the stall limit of %s",
    async (method) => {
      await using server = await startEchoGrpc(handlers, { limits: impatient });
      using client = new Unread(`http://${server.address}`);

      const tookMs = await resetAfter(client.post(method, "application/grpc", { te: "trailers" }, frame()));

      expect(tookMs).toBeGreaterThan(190);
      expect(tookMs).toBeLessThan(800);
    },
  );

  test("is reset over gRPC at the stall limit while its handler has more to come", async () => {
    await using server = await startEchoGrpc(
      {
        async *batchLookup(_request, { signal }) {
          yield { vin: "a" };
          await once(signal, "abort");
        },
      },
      { limits: impatient },
    );
    using client = new Unread(`http://${server.address}`);

    const tookMs = await resetAfter(client.post("BatchLookup", "application/grpc", { te: "trailers" }, frame()));

    expect(tookMs).toBeGreaterThan(190);
    expect(tookMs).toBeLessThan(800);
  });

  test.each([
    ["Lookup", "application/json", { "connect-timeout-ms": "300" }, Buffer.from("{}")],
    ["Lookup", "application/grpc-web+proto", { "grpc-timeout": "300m" }, frame()],
    ["BatchLookup", "application/connect+proto", { "connect-timeout-ms": "300" }, frame()],
  ])("is reset over HTTP/2 at the deadline of %s as %s", async (method, type, headers, body) => {
    await using server = await startEchoHttp(handlers, { tls: disk.tls, limits: patient });
    using client = new Unread(`https://${server.address}`);

    const tookMs = await resetAfter(client.post(method, type, headers, body));

    expect(tookMs).toBeGreaterThan(290);
    expect(tookMs).toBeLessThan(800);
  });

  test("is reset over HTTP/2 at the stall limit of its method", async () => {
    await using server = await startEchoHttp(handlers, { tls: disk.tls, limits: impatient });
    using client = new Unread(`https://${server.address}`);

    const tookMs = await resetAfter(client.post("Lookup", "application/json", {}, Buffer.from("{}")));

    expect(tookMs).toBeLessThan(800);
  });

  test("is reset over HTTP/2 when it is none to an RPC", async () => {
    await using listener = await listenWith(Buffer.alloc(10), "tls");
    using client = new Unread(`https://127.0.0.1:${listener.port}`);

    const tookMs = await resetAfter(client.get());

    expect(tookMs).toBeGreaterThan(190);
    expect(tookMs).toBeLessThan(800);
  });

  test("is closed over HTTP/1.1 when it is too long to have gone", async () => {
    await using listener = await listenWith(Buffer.alloc(16 * 1024 * 1024), "plain");
    const socket = connectTcp(listener.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const [, response] = await once(listener.server, "request");

    await once(response, "close");

    expect(response).toMatchObject({ writableEnded: true, writableFinished: false });
    socket.destroy();
  });

  test("arrives whole when it is read late, but before the limit", async () => {
    await using server = await startEchoGrpc(handlers, { limits: patient });
    using client = new Unread(`http://${server.address}`);
    const headers = { te: "trailers", "grpc-timeout": "5S" };
    const stream = client.post("Lookup", "application/grpc", headers, frame());
    await once(stream, "response");
    const other = client.post("Lookup", "application/grpc", { te: "trailers", "grpc-timeout": "100m" }, frame());
    await once(other, "close");

    client.session.settings({ initialWindowSize: 65_535 });
    const [trailers] = await once(stream, "trailers");

    expect(trailers).toMatchObject({ "grpc-status": "0" });
  });
});
