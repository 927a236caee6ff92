import { once } from "node:events";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { text as readText } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

import { create, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { BatchLookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { IncompleteRequests } from "../../../src/server/limits/incomplete-requests.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { EchoHttp2, frame } from "../../support/echo-http2.ts";
import { type EchoHandlers, startEchoGrpc, startEchoHttp } from "../../support/echo-server.ts";

const BATCH = "/vehicle.v1.VehicleService/BatchLookup";
const GRPC_WEB = { "content-type": "application/grpc-web+proto" };
const handlers: EchoHandlers = {
  async *batchLookup({ vins }) {
    yield { vin: `${vins.length}` };
  },
};
const limits = { methods: { "vehicle.v1.VehicleService/BatchLookup": { maxRequestBytes: 100_000 } } };

let http: RunningListener;
let grpc: RunningListener;

beforeAll(async () => {
  http = await startEchoHttp(handlers, { limits });
  grpc = await startEchoGrpc(handlers, { limits });
});

afterAll(async () => {
  await http[Symbol.asyncDispose]();
  await grpc[Symbol.asyncDispose]();
});

/** An envelope with so many VINs of 17 bytes, in pieces of this many bytes. */
function envelopeInPieces(vins: number, pieceBytes: number): Buffer[] {
  const message = create(BatchLookupRequestSchema, { vins: Array.from({ length: vins }, () => "1XPWD40X1ED215307") });
  const envelope = frame(toBinary(BatchLookupRequestSchema, message));
  return Array.from({ length: Math.ceil(envelope.byteLength / pieceBytes) }, (_, index) =>
    envelope.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
}

interface Answer {
  readonly response: IncomingMessage;
  readonly text: string;
}

/** A call over gRPC-Web, each piece in a chunk of its own. */
async function callHttp(
  pieces: readonly Uint8Array[],
  headers: Readonly<Record<string, string>> = {},
  agent?: Agent,
): Promise<Answer> {
  const outgoing = request(`http://${http.address}${BATCH}`, {
    method: "POST",
    headers: { ...GRPC_WEB, ...headers },
    ...(agent === undefined ? {} : { agent }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  outgoing.on("response", resolve);
  outgoing.on("error", reject);
  for (const piece of pieces) {
    outgoing.write(piece);
  }
  outgoing.end();
  const response = await promise;
  return { response, text: await readText(response) };
}

/** A gRPC call, each piece in a frame of its own; gives the status. */
async function callGrpc(pieces: readonly Uint8Array[]): Promise<number> {
  using client = new EchoHttp2(grpc.address);
  const stream = client.open(BATCH);
  let code = -1;
  const read = (headers: Record<string, unknown>): void => {
    code = Number(headers["grpc-status"] ?? code);
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.resume();
  const closed = once(stream, "close");
  for (const piece of pieces) {
    if (stream.writable) {
      await new Promise((resolve) => {
        stream.write(piece, resolve);
      });
    }
  }
  stream.end();
  await closed;
  return code;
}

describe("a request in many small pieces", () => {
  test("is served over HTTP/1.1 when its pieces are worth their cost", async () => {
    const { text } = await callHttp(envelopeInPieces(4000, 19));

    expect(text).toContain("4000");
    expect(text).toContain("grpc-status: 0");
  });

  test("is refused over HTTP/1.1 when it comes byte by byte", async () => {
    const { text } = await callHttp(envelopeInPieces(4000, 1));

    expect(text).toContain("grpc-status: 8");
    expect(reasonOf(text)).toBe("TOO_MANY_PIECES");
  });

  test("is served over gRPC when its pieces are worth their cost", async () => {
    expect(await callGrpc(envelopeInPieces(2000, 19))).toBe(status.OK);
  });

  test("is refused over gRPC when it comes byte by byte", async () => {
    expect(await callGrpc(envelopeInPieces(100, 1))).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe("a request that is refused before it is read to its end", () => {
  test.each([
    [
      "compressed and too large",
      { "grpc-encoding": "gzip" },
      [Buffer.from([1, 0, 2, 0, 0]), gzipSync(Buffer.alloc(1))],
    ],
    ["too large", {}, [Buffer.from([0, 0, 2, 0, 0])]],
    ["of no known type", { "content-type": "text/html" }, [Buffer.alloc(1000)]],
  ])("because it is %s leaves its connection usable", async (_, headers, first) => {
    using agent = disposable(new Agent({ keepAlive: true, maxSockets: 1 }));
    const rest = Array.from({ length: 8 }, () => Buffer.alloc(32 * 1024));

    const refused = await callHttp([...first, ...rest], headers, agent.agent);
    const next = await callHttp(envelopeInPieces(1, 1000), {}, agent.agent);

    expect(`${refused.response.statusCode} ${refused.text}`).toMatch(/grpc-status: 8|^415/);
    expect(next.text).toContain("grpc-status: 0");
    expect(next.response.socket).toBe(refused.response.socket);
  });

  test("says that its connection ends when too much would have to be read", async () => {
    const outgoing = request(`http://${http.address}${BATCH}`, {
      method: "POST",
      headers: { ...GRPC_WEB, "content-length": String(2 ** 32) },
    });
    outgoing.on("error", () => {});
    outgoing.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));

    const [response]: IncomingMessage[] = await once(outgoing, "response");
    outgoing.destroy();

    expect(response?.headers.connection).toBe("close");
  });

  test("is cut off when it goes on for more than 1 MiB", async () => {
    const outgoing = request(`http://${http.address}${BATCH}`, { method: "POST", headers: GRPC_WEB });
    const { promise: failed, resolve } = Promise.withResolvers<Error>();
    outgoing.on("error", resolve);
    outgoing.on("response", (response) => response.resume());
    outgoing.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));

    const timer = setInterval(() => outgoing.write(Buffer.alloc(256 * 1024)), 1);
    const error = await failed;
    clearInterval(timer);

    expect(error).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
  });
});

function disposable(agent: Agent): { readonly agent: Agent } & Disposable {
  return { agent, [Symbol.dispose]: () => agent.destroy() };
}

describe("requests over HTTP that have not arrived whole", () => {
  const maxBytes = 100_000;
  const head = Buffer.from([0, 0, 0, 0x9c, 0x40]);

  test("are refused beyond the room there is for them, and have it back when they are gone", async () => {
    await using server = await startEchoHttp(handlers, {
      limits,
      incomplete: new IncompleteRequests({ maxBytesPerAddress: maxBytes }),
    });
    const open = Array.from({ length: 4 }, () => startRequest(server.address, [head, Buffer.alloc(39_000)]));

    const first = await Promise.race(open.map(async ({ answer }) => await answer));
    for (const { outgoing } of open) {
      outgoing.destroy();
    }
    const next = await untilServed(server.address);

    expect(first).toContain("grpc-status: 8");
    expect(first).toContain("send%20fewer");
    expect(reasonOf(first)).toBe("TOO_MUCH_INCOMPLETE");
    expect(next).toContain("grpc-status: 0");
  });

  test("take no room once they have been answered", async () => {
    await using server = await startEchoHttp(handlers, {
      limits,
      incomplete: new IncompleteRequests({ maxBytesPerAddress: maxBytes }),
    });
    const whole = envelopeInPieces(1000, 4000);

    const texts: string[] = [];
    for (let call = 0; call < 20; call++) {
      const { outgoing, answer } = startRequest(server.address, whole);
      outgoing.end();
      texts.push(await answer);
    }

    expect(texts.filter((text) => text.includes("grpc-status: 0"))).toHaveLength(20);
  });
});

interface Started {
  readonly outgoing: ClientRequest;
  readonly answer: Promise<string>;
}

/** A request that has not ended yet, and its answer. */
function startRequest(address: string, pieces: readonly Uint8Array[]): Started {
  const outgoing = request(`http://${address}${BATCH}`, { method: "POST", headers: GRPC_WEB });
  const { promise, resolve } = Promise.withResolvers<string>();
  outgoing.on("response", (response) => {
    readText(response).then(resolve, () => {});
  });
  outgoing.on("error", () => {});
  for (const piece of pieces) {
    outgoing.write(piece);
  }
  return { outgoing, answer: promise };
}

/** The answer to a request of 90 kB, once the server has seen that those before it are gone. */
async function untilServed(address: string): Promise<string> {
  for (;;) {
    const { outgoing, answer } = startRequest(address, envelopeInPieces(4700, 30_000));
    outgoing.end();
    const text = await answer;
    if (!text.includes("grpc-status: 8")) {
      return text;
    }
    await sleep(20);
  }
}

/** The reason in the trailers of a gRPC-Web answer. */
function reasonOf(text: string): string | undefined {
  const [, encoded = ""] = /grpc-status-details-bin: (\S+)/.exec(text) ?? [];
  return /[A-Z]+(?:_[A-Z]+)+/.exec(Buffer.from(encoded, "base64").toString("latin1"))?.[0];
}
