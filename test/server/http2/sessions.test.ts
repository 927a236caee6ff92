import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import type { ListenerOptions } from "../../../src/server/listener-options.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { startEchoGrpc, startEchoHttp } from "../../support/echo-server.ts";
import { type TlsOnDisk, writeTls } from "../../support/tls-on-disk.ts";
import { callHeaders, data, FrameReader, grpcMessage, headers, OPENING, PREFACE } from "../../torture/http2-frames.ts";

const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const GO_AWAY = 7;
const PING = 6;
const GOODBYE_MS = 100;

let disk: TlsOnDisk;

beforeAll(async () => {
  disk = await writeTls();
});
afterAll(() => disk[Symbol.asyncDispose]());

type Options = Partial<Pick<ListenerOptions, "sessions" | "lingerMs" | "connections">>;

/** What HTTP/2 is spoken on, and how a call to it calls itself. */
const LISTENERS = {
  gRPC: { start: (options: Options) => startEchoGrpc(handlers, options), isSecure: false, type: "application/grpc" },
  "gRPC with TLS": {
    start: (options: Options) => startEchoGrpc(handlers, { ...options, tls: disk.tls }),
    isSecure: true,
    type: "application/grpc",
  },
  "the HTTP port": {
    start: (options: Options) => startEchoHttp(handlers, { ...options, tls: disk.tls }),
    isSecure: true,
    type: "application/grpc-web+proto",
  },
} as const;

/** What Lookups wait for. */
let hang: PromiseWithResolvers<object>;
const handlers = { lookup: () => hang.promise };

beforeEach(() => {
  hang = Promise.withResolvers();
  hang.resolve({});
});

/** A client that does no more than it is told: it answers no ping, and keeps its side open. */
class BareClient implements Disposable {
  readonly socket: Socket;
  /** The types of the frames of the connection that have come. */
  readonly frames: number[] = [];
  /** Which streams have been answered. */
  readonly answered: number[] = [];
  hasEnded = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader((type, isEnd, stream) => {
      if (stream === 0) {
        this.frames.push(type);
      } else if (isEnd) {
        this.answered.push(stream);
      }
    });
    socket.on("data", (bytes) => reader.push(bytes));
    socket.on("end", () => (this.hasEnded = true));
    socket.on("error", () => {});
  }

  static async open({ address }: RunningListener, isSecure: boolean, first: Uint8Array): Promise<BareClient> {
    const options = { port: Number(address.split(":")[1]), host: "127.0.0.1", allowHalfOpen: true };
    const socket = isSecure
      ? connectTls({ ...options, servername: "localhost", ca: disk.ca, ALPNProtocols: ["h2"] })
      : connectTcp(options);
    await once(socket, isSecure ? "secureConnect" : "connect");
    socket.write(first);
    return new BareClient(socket);
  }

  call(stream: number, type: string): void {
    this.socket.write(
      Buffer.concat([
        headers(stream, callHeaders(LOOKUP, "localhost", "2S", type)),
        data(stream, grpcMessage(Buffer.alloc(0)), true),
      ]),
    );
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** HEADERS of more bytes than follow. */
const HALF_HEADERS = headers(1, callHeaders(LOOKUP)).subarray(0, 40);

describe.each(Object.entries(LISTENERS))("a connection to %s", (_name, { start, isSecure, type }) => {
  test.each([
    ["is idle", OPENING],
    ["has begun the headers of a call and no more", Buffer.concat([OPENING, HALF_HEADERS])],
  ])("that %s is told so, and ended", async (_what, first) => {
    await using server = await start({ sessions: { idleMs: 200, goodbyeMs: GOODBYE_MS } });
    using client = await BareClient.open(server, isSecure, first);

    await expect.poll(() => client.hasEnded).toBe(true);

    expect(client.frames).toContain(GO_AWAY);
  });

  test("that has calls now and then is not idle, and is ended when it has none any more", async () => {
    await using server = await start({ sessions: { idleMs: 400, goodbyeMs: GOODBYE_MS } });
    using client = await BareClient.open(server, isSecure, OPENING);

    for (const stream of [1, 3, 5]) {
      await pause(200);
      client.call(stream, type);
      await expect.poll(() => client.answered).toContain(stream);
    }
    const before = client.frames.includes(GO_AWAY);
    await expect.poll(() => client.hasEnded, { timeout: 3000 }).toBe(true);

    expect(before).toBe(false);
  });

  test("that says only the preface is cut", async () => {
    await using server = await start({ sessions: { prefaceMs: 100 } });
    using client = await BareClient.open(server, isSecure, PREFACE);

    await expect.poll(() => client.hasEnded).toBe(true);
  });

  test("that is old is told so, and ended when its last call is", async () => {
    await using server = await start({ sessions: { ageMs: 300, goodbyeMs: 50 } });
    using client = await BareClient.open(server, isSecure, OPENING);
    hang = Promise.withResolvers();
    client.call(1, type);

    await expect.poll(() => client.frames).toContain(GO_AWAY);
    await pause(200);
    const before = [client.hasEnded, client.answered.length];
    hang.resolve({});
    await expect.poll(() => client.hasEnded).toBe(true);

    expect([before, client.answered]).toEqual([[false, 0], [1]]);
  });

  test("that is old is cut at the end of the grace, whatever runs", async () => {
    await using server = await start({ sessions: { ageMs: 100, graceMs: 200 } });
    using client = await BareClient.open(server, isSecure, OPENING);
    hang = Promise.withResolvers();
    client.call(1, type);

    await expect.poll(() => client.hasEnded).toBe(true);
    hang.resolve({});

    expect(client.answered).toEqual([]);
  });

  test("that answers no ping is cut", async () => {
    await using server = await start({ sessions: { pingMs: 100, pongMs: 100 } });
    using client = await BareClient.open(server, isSecure, OPENING);

    await expect.poll(() => client.hasEnded).toBe(true);

    expect(client.frames).toContain(PING);
  });

  test("that is kept open by its client alone is cut, and its place is free", async () => {
    await using server = await start({
      sessions: { idleMs: 100, goodbyeMs: GOODBYE_MS },
      lingerMs: 300,
      connections: { maxOpenPerAddress: 1 },
    });
    using kept = await BareClient.open(server, isSecure, OPENING);
    await expect.poll(() => kept.hasEnded).toBe(true);
    const isTaken = async (): Promise<boolean> => {
      try {
        using next = await BareClient.open(server, isSecure, OPENING);
        next.call(1, type);
        await expect.poll(() => next.answered, { timeout: 200 }).toEqual([1]);
        return true;
      } catch {
        return false;
      }
    };

    const atOnce = await isTaken();
    await expect.poll(isTaken, { timeout: 3000 }).toBe(true);

    expect(atOnce).toBe(false);
  });
});
