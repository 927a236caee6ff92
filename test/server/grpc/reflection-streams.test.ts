import { once } from "node:events";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { connect, constants } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";

import { status } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";

import { RateLimitError } from "../../../src/access/errors.ts";
import type { RunningListener } from "../../../src/server/running-listener.ts";
import { EchoHttp2 } from "../../support/echo-http2.ts";
import { startEchoGrpc } from "../../support/echo-server.ts";
import { grpcMessage } from "../../torture/http2-frames.ts";

/** A ServerReflectionRequest for the list of services. */
const REQUEST = grpcMessage(Buffer.from([0x3a, 0]));
const MAX_OPEN = 64;
const WINDOW_BYTES = 65_535;

let server: RunningListener;
let session: ClientHttp2Session;

beforeEach(async () => {
  server = await startEchoGrpc({});
  session = connect(`http://${server.address}`);
});

afterEach(async () => {
  session.destroy();
  await server[Symbol.asyncDispose]();
});

function open(version = "v1"): ClientHttp2Stream {
  const stream = session.request({
    ":method": "POST",
    ":path": `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  return stream;
}

async function statusOf(stream: ClientHttp2Stream): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const read = (headers: Record<string, unknown>): void => {
    if (headers["grpc-status"] !== undefined) {
      resolve(Number(headers["grpc-status"]));
    }
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.resume();
  return await promise;
}

/** Waits for a whole answer. */
async function answered(stream: ClientHttp2Stream): Promise<void> {
  stream.write(REQUEST);
  await once(stream, "data");
}

test.each(["v1", "v1alpha"])("%s takes no more requests while its answers are not read", async (version) => {
  const stream = open(version);
  // Nothing is read: when the answers fill the window, those that wait fill what the service keeps of them.
  stream.pause();
  const piece = Buffer.concat(Array.from({ length: 1000 }, () => REQUEST));
  let taken = 0;
  const isTaken = async (): Promise<boolean> => {
    const written = new Promise<boolean>((resolve) => {
      stream.write(piece, () => resolve(true));
    });
    const tooLate = new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), 1000);
    });
    return await Promise.race([written, tooLate]);
  };

  while (taken < 100 * WINDOW_BYTES && (await isTaken())) {
    taken += piece.byteLength;
  }

  expect(taken).toBeLessThan(10 * WINDOW_BYTES);
});

test("no more than 64 streams are open at once, and another may be when one has ended", async () => {
  const streams = Array.from({ length: MAX_OPEN }, () => open());
  await Promise.all(streams.map(answered));

  const refused = await statusOf(open());
  const [first = open()] = streams;
  first.end();
  const ended = await statusOf(first);
  const admitted = open();
  await answered(admitted);

  expect([refused, ended]).toEqual([status.RESOURCE_EXHAUSTED, status.OK]);
});

test("a stream of a method that reflection does not have is closed when its request does not end", async () => {
  await using impatient = await startEchoGrpc({}, { arrivalTimeoutMs: 200 });
  using client = new EchoHttp2(impatient.address);
  const stream = client.open("/grpc.reflection.v1.ServerReflection/Nope");
  stream.resume();

  await once(stream, "close");

  expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
});

test("a stream is ended by what is thrown after one of its requests, and answers none of those that follow", async () => {
  let left = 3;
  const admitUnseen = (): void => {
    if (left-- === 0) {
      throw new RateLimitError(1_000);
    }
  };
  await using limited = await startEchoGrpc({}, { admitUnseen });
  using client = new EchoHttp2(limited.address);
  const stream = client.open("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
  let answers = 0;
  stream.on("data", () => answers++);
  const told = once(stream, "trailers");

  for (let request = 0; request < 10; request++) {
    stream.write(REQUEST);
    await pause(20);
  }
  const [trailers] = await told;

  expect(trailers).toMatchObject({ "grpc-status": String(status.RESOURCE_EXHAUSTED), "retry-after": "1" });
  // The beginning of the stream counts, and that the last answer was too much shows only when it is given.
  expect(answers).toBe(3);
});

test("an open stream does not hold up a drain", async () => {
  const stream = open();
  await answered(stream);
  const startedAt = performance.now();

  const [ended] = await Promise.all([statusOf(stream), server.drain(20_000)]);

  expect(ended).toBe(status.UNAVAILABLE);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
});
