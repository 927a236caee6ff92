import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect as connectHttp2, type ClientHttp2Session, constants } from "node:http2";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { HttpHandlers } from "../../../src/server/http/routes.ts";
import type { HttpServerOptions } from "../../../src/server/http/http-server.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { TlsCertificates } from "../../../src/server/tls/certificates.ts";
import { createAuthority } from "../../support/certificates.ts";
import { startEchoGrpc, startEchoHttp } from "../../support/echo-server.ts";
import { silentLogger } from "../../support/silent-logger.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const authority = createAuthority();
const identity = authority.issue("localhost");

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let tls: TlsCertificates;

beforeAll(async () => {
  directory = await temporaryDirectory();
  const certFile = join(directory.path, "cert.pem");
  const keyFile = join(directory.path, "key.pem");
  await writeFile(certFile, identity.cert);
  await writeFile(keyFile, identity.key);
  tls = await TlsCertificates.open({ certFile, keyFile, logger: silentLogger, handshakeTimeoutMs: 300 });
});

afterAll(async () => {
  tls[Symbol.dispose]();
  await directory[Symbol.asyncDispose]();
});

async function startHttp({
  plain,
  ...options
}: Pick<HttpServerOptions, "sessions" | "origins" | "connections"> & Times & Plain = {}): Promise<RunningListener> {
  return await startEchoHttp({ lookup: () => ({}) }, { tls, ...options }, plain);
}

type Times = Pick<HttpServerOptions, "headersTimeoutMs" | "arrivalTimeoutMs">;
interface Plain {
  readonly plain?: HttpHandlers;
}

function openSession({ address }: { readonly address: string }): ClientHttp2Session {
  const session = connectHttp2(`https://${address}`, { ca: authority.cert });
  session.on("error", () => {});
  return session;
}

/** A connection whose handshake chose HTTP/2, and which says nothing yet. */
async function openSocket({ address }: { readonly address: string }): Promise<TLSSocket> {
  const socket = connectTls({
    port: Number(address.split(":")[1]),
    host: "127.0.0.1",
    ca: authority.cert,
    ALPNProtocols: ["h2"],
  });
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "secureConnect");
  return socket;
}

/** The status of one request, or `reset` when it gets none. */
async function statusOf(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
  body?: string,
): Promise<number | "reset"> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) {
    stream.end(body);
  }
  return await new Promise((resolve) => {
    stream.on("response", ({ ":status": status = 0 }) => resolve(status));
    stream.on("error", () => resolve("reset"));
    stream.on("close", () => resolve("reset"));
    stream.resume();
  });
}

const frameTypes = { headers: 1, reset: 3, settings: 4 };
/** In HPACK's static table: GET, https, /; and `a` as the authority. */
const getRoot = Buffer.from([0x82, 0x87, 0x84, 0x41, 0x01, 0x61]);

/** A frame of HTTP/2; headers end themselves and their stream. */
function frameOf(type: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(type === frameTypes.headers ? 0x05 : 0, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

const rpc = { ":method": "POST", ":path": LOOKUP, "content-type": "application/json" };

describe("over HTTP/2, the HTTP listener", () => {
  test.each(["a b", "[", "[::1", "%", "a:b:c", "a:99999999", "<>", "a@b:c@", "a^b", ""])(
    "refuses the authority %j and goes on serving",
    async (authorityName) => {
      await using server = await startHttp();
      const session = openSession(server);

      const answer = await statusOf(session, { ...rpc, ":authority": authorityName }, "{}");
      session.destroy();
      const next = openSession(server);
      const served = await statusOf(next, rpc, "{}");
      next.destroy();

      expect([400, "reset"]).toContain(answer);
      expect(served).toBe(200);
    },
  );

  test("refuses pages of other origins, and tells the allowed ones so", async () => {
    await using server = await startHttp({ origins: ["https://friend.example"] });
    const session = openSession(server);

    const foreign = await statusOf(session, { ...rpc, origin: "https://foe.example" }, "{}");
    const friend = await statusOf(session, { ...rpc, origin: "https://friend.example" }, "{}");
    const own = await statusOf(session, { ...rpc, origin: `https://${server.address}` }, "{}");
    session.destroy();

    expect([foreign, friend, own]).toEqual([403, 200, 200]);
  });

  test("answers a request that ends without a body at once", async () => {
    await using server = await startHttp();
    const session = openSession(server);

    const empty = await statusOf(session, { ...rpc, "content-type": "application/proto" }, "");
    session.destroy();

    expect(empty).toBe(200);
  });

  test("allows 100 streams a connection", async () => {
    await using server = await startHttp();
    const session = openSession(server);

    const [settings] = await once(session, "remoteSettings");
    session.destroy();

    expect(settings).toMatchObject({ maxConcurrentStreams: 100, maxHeaderListSize: 16 * 1024 });
  });

  test("refuses headers of more than 16 KiB", async () => {
    await using server = await startHttp();
    const session = openSession(server);
    await once(session, "remoteSettings");

    const answer = await statusOf(session, { ...rpc, x: "~".repeat(17 * 1024) }, "{}");
    session.destroy();

    expect([431, "reset"]).toContain(answer);
  });

  test("ends requests that do not arrive with 408", async () => {
    await using server = await startHttp({ headersTimeoutMs: 100, arrivalTimeoutMs: 100 });
    const session = openSession(server);
    const stream = session.request({ ...rpc, "x-request-id": "mine" }, { endStream: false });
    stream.on("error", () => {});

    const [headers] = await once(stream, "response");
    session.destroy();

    expect(headers).toMatchObject({ ":status": 408, "x-request-id": "mine" });
  });

  test("closes connections that are idle", async () => {
    await using server = await startHttp({ sessions: { idleMs: 100 } });
    const session = openSession(server);
    await statusOf(session, rpc, "{}");

    const [code] = await once(session, "goaway");

    expect(code).toBe(constants.NGHTTP2_NO_ERROR);
    session.destroy();
  });

  test("sends connections away that are old, but lets their requests finish", async () => {
    const finish = Promise.withResolvers<void>();
    await using server = await startHttp({
      sessions: { ageMs: 100 },
      plain: {
        "GET /slow": async (_request, response) => {
          await finish.promise;
          response.end("done");
        },
      },
    });
    const session = openSession(server);
    const status = statusOf(session, { ":path": "/slow" });

    await once(session, "goaway");
    finish.resolve();

    await expect(status).resolves.toBe(200);
  });

  test("finishes running requests when drained, and cuts the rest at the end of the grace period", async () => {
    const arrived = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    await using server = await startHttp({
      plain: {
        "GET /slow": async (_request, response) => {
          await finish.promise;
          response.end("done");
        },
        "GET /never": async () => {
          arrived.resolve();
          await new Promise(() => {});
        },
      },
    });
    const session = openSession(server);
    const slow = statusOf(session, { ":path": "/slow" });
    const never = statusOf(session, { ":path": "/never" });
    await arrived.promise;

    const startedAt = performance.now();
    const drained = server.drain(500);
    await once(session, "goaway");
    finish.resolve();

    await expect(slow).resolves.toBe(200);
    await drained;
    await expect(never).resolves.toBe("reset");
    expect(performance.now() - startedAt).toBeLessThan(1500);
  });

  test("waits for no connection without a request when drained", async () => {
    await using server = await startHttp();
    const strange = connectTcp(Number(server.address.split(":")[1]), "127.0.0.1");
    strange.on("error", () => {});
    strange.resume();
    const silent = await openSocket(server);
    const idle = openSession(server);
    await statusOf(idle, rpc, "{}");
    const half = openSession(server);
    half.request(rpc, { endStream: false }).on("error", () => {});
    // Its headers have arrived by then.
    await statusOf(half, rpc, "{}");

    const startedAt = performance.now();
    await server.drain(10_000);

    expect(performance.now() - startedAt).toBeLessThan(2000);
    silent.destroy();
  });

  test("closes a connection that resets its streams rapidly, and goes on serving", async () => {
    await using server = await startHttp();
    const socket = await openSocket(server);
    const closed = once(socket, "close");

    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(frameOf(frameTypes.settings, 0, Buffer.alloc(0)));
    for (let count = 0; count < 5000; count++) {
      const id = 2 * count + 1;
      socket.write(frameOf(frameTypes.headers, id, getRoot));
      socket.write(frameOf(frameTypes.reset, id, Buffer.from([0, 0, 0, 8])));
    }
    await closed;
    const next = openSession(server);
    const served = await statusOf(next, rpc, "{}");
    next.destroy();

    expect(served).toBe(200);
  });

  test("closes a connection whose client does not begin to speak HTTP/2", async () => {
    await using server = await startHttp({ sessions: { prefaceMs: 100 } });
    const socket = await openSocket(server);
    const closed = once(socket, "close");

    socket.write("PRI * HTTP/2.0");

    await expect(closed).resolves.toBeDefined();
  });

  test("refuses headers of more than 16 KiB from a client that has not agreed to that limit", async () => {
    await using server = await startHttp();
    const socket = await openSocket(server);
    const closed = once(socket, "close");

    // Remembered by HPACK as entry 62 and named six more times: a few bytes that stand for 21 KB.
    const long = Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from("x"),
      Buffer.from([0x7f, 0xb9, 0x16]),
      Buffer.alloc(3000, "y"),
    ]);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(frameOf(frameTypes.settings, 0, Buffer.alloc(0)));
    socket.write(frameOf(frameTypes.headers, 1, Buffer.concat([getRoot, long, Buffer.alloc(6, 0x80 | 62)])));

    await expect(closed).resolves.toBeDefined();
  });
});

describe.each(["gRPC", "HTTP"])("with TLS, the %s listener", (name) => {
  const start = async (connections = {}) =>
    name === "gRPC"
      ? await startEchoGrpc({}, { tls, connections, prefaceTimeoutMs: 200 })
      : await startHttp({ connections, headersTimeoutMs: 200, arrivalTimeoutMs: 200 });
  const portOf = ({ address }: { readonly address: string }) => Number(address.split(":")[1]);

  test("takes no more connections from an address than allowed", async () => {
    await using server = await start({ maxOpenPerAddress: 1 });
    const first = connectTcp(portOf(server), "127.0.0.1");
    await once(first, "connect");
    const second = connectTcp(portOf(server), "127.0.0.1");
    second.on("error", () => {});

    await once(second, "close");

    expect(first.closed).toBe(false);
    first.destroy();
  });

  test.each(["", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"])(
    "closes a connection that says %j without TLS",
    async (bytes) => {
      await using server = await start();
      const socket = connectTcp(portOf(server), "127.0.0.1");
      socket.on("error", () => {});
      socket.write(bytes);
      socket.resume();

      const startedAt = performance.now();
      await once(socket, "close");

      expect(performance.now() - startedAt).toBeLessThan(3000);
    },
    15_000,
  );

  test("closes a connection that is silent after the handshake", async () => {
    await using server = await start();
    const ALPNProtocols = [name === "gRPC" ? "h2" : "http/1.1"];
    const socket = connectTls({ port: portOf(server), host: "127.0.0.1", ca: authority.cert, ALPNProtocols });
    socket.on("error", () => {});
    socket.resume();
    await once(socket, "secureConnect");

    const startedAt = performance.now();
    await once(socket, "close");

    expect(performance.now() - startedAt).toBeLessThan(3000);
  });

  test("is stopped at once when it is disposed of, also amid a handshake", async () => {
    const server = await start();
    const socket = connectTcp(portOf(server), "127.0.0.1");
    await once(socket, "connect");
    const closed = once(socket, "close");
    socket.resume();

    await server[Symbol.asyncDispose]();

    await expect(closed).resolves.toBeDefined();
  });
});
