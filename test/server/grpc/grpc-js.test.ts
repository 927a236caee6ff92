import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import type { StatusObject } from "@grpc/grpc-js";
import { Metadata, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { EchoClient } from "../../support/echo-client.ts";
import { decodeEcho, ECHO, ECHO_PATH, encodeEcho, ScriptedEcho } from "../../support/echo-service.ts";
import type { TestServer } from "../../support/test-server.ts";
import { startTestServer } from "../../support/test-server.ts";

const script = new ScriptedEcho();
const running = new AsyncDisposableStack();
let server: TestServer;
let plain: EchoClient;
let gzipped: EchoClient;

beforeAll(async () => {
  server = running.use(await startTestServer(script.methods()));
  plain = running.use(new EchoClient(server.address));
  gzipped = running.use(new EchoClient(server.address, { "grpc.default_compression_algorithm": 2 }));
});

afterAll(() => running.disposeAsync());

beforeEach(() => script.reset());

const serialize = (text: string): Buffer => encodeEcho(text);
const deserialize = (bytes: Buffer): string => decodeEcho(bytes);

describe.each([
  ["that compresses nothing", () => plain],
  ["that compresses everything", () => gzipped],
])("a client of grpc-js %s", (_how, clientOf) => {
  const long = "A".repeat(3_000);

  test("makes unary calls", async () => {
    const seen = await clientOf().unary(ECHO.unary, { value: long });

    expect(seen.status.code).toBe(status.OK);
    expect(seen.messages.map(({ value }) => value)).toEqual([long]);
  });

  test("reads streams", async () => {
    script.serverStream = async function* ({ value }) {
      for (let count = 0; count < 100; count++) {
        yield { value };
      }
    };

    const seen = await clientOf().stream(ECHO.serverStream, { value: long });

    expect(seen.status.code).toBe(status.OK);
    expect(seen.messages.map(({ value }) => value)).toEqual(Array.from({ length: 100 }, () => long));
  });

  test("sends streams", async () => {
    const answer = await new Promise((resolve) => {
      const { client } = clientOf();
      const call = client.makeClientStreamRequest(ECHO_PATH.clientStream, serialize, deserialize, (_error, value) => {
        resolve(value);
      });
      call.write("one");
      call.write("two");
      call.end();
    });

    expect(answer).toBe("one two");
  });

  test("talks back and forth", async () => {
    const said: string[] = [];
    const call = clientOf().client.makeBidiStreamRequest(ECHO_PATH.bidi, serialize, deserialize);
    const ended = new Promise<StatusObject>((resolve) => {
      call.on("status", resolve);
    });
    call.on("data", (word: string) => {
      said.push(word);
      if (said.length === 3) {
        call.end();
      } else {
        call.write(`${word}!`);
      }
    });
    call.write("hello");

    const { code } = await ended;

    expect(code).toBe(status.OK);
    expect(said).toEqual(["hello", "hello!", "hello!!"]);
  });
});

test("metadata goes both ways, binary values too", async () => {
  script.unary = (request, { requestHeader, responseHeader, responseTrailer }) => {
    responseHeader.set("x-header-bin", requestHeader.get("x-bytes-bin") ?? "");
    responseTrailer.set("x-trailer-bin", Buffer.from([2, 253]).toString("base64"));
    responseTrailer.set("x-trailer", requestHeader.get("x-text") ?? "");
    return request;
  };
  const metadata = new Metadata();
  metadata.set("x-bytes-bin", Buffer.from([0, 255, 7]));
  metadata.set("x-text", "t");

  const seen = await plain.unary(ECHO.unary, {}, { metadata });

  expect(seen.header.get("x-header-bin")).toEqual([Buffer.from([0, 255, 7])]);
  expect(seen.status.metadata.get("x-trailer-bin")).toEqual([Buffer.from([2, 253])]);
  expect(seen.status.metadata.get("x-trailer")).toEqual(["t"]);
});

test("errors arrive with code, message and details", async () => {
  const value = { fieldViolations: [{ field: "vin", description: "too short" }] };
  script.unary = () => {
    throw new ConnectError("vin: too short – 100%", Code.InvalidArgument, undefined, [
      { desc: BadRequestSchema, value },
    ]);
  };

  const { status: end } = await plain.unary(ECHO.unary, {});

  const [details = ""] = end.metadata.get("grpc-status-details-bin");
  const error = findTrailerError(new Headers({ "grpc-status-details-bin": Buffer.from(details).toString("base64") }));
  expect([end.code, end.details]).toEqual([status.INVALID_ARGUMENT, "vin: too short – 100%"]);
  expect(error?.findDetails(BadRequestSchema)).toMatchObject([{ fieldViolations: [{ field: "vin" }] }]);
});

test("a deadline ends a call whose handler never ends", async () => {
  script.unary = () => new Promise(() => {});

  const seen = await plain.unary(ECHO.unary, {}, { deadline: Date.now() + 200 });

  expect(seen.status.code).toBe(status.DEADLINE_EXCEEDED);
});

test("cancelling a stream ends its handler", async () => {
  const cleanedUp = Promise.withResolvers<void>();
  script.serverStream = async function* (request) {
    try {
      for (;;) {
        yield request;
      }
    } finally {
      cleanedUp.resolve();
    }
  };
  const stream = plain.open(ECHO.serverStream, { value: "more" });

  stream.once("data", () => stream.cancel());

  await expect(cleanedUp.promise).resolves.toBeUndefined();
});
