import { once } from "node:events";
import type { OutgoingHttpHeaders } from "node:http2";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import { frame, gzipFrame } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, HELLO, startEcho } from "../../support/echo-service.ts";

const LIMIT_BYTES = 2_000;
/** The size of the tag and length of a string of about that size. */
const OVERHEAD_BYTES = 3;
const GZIP = { "grpc-encoding": "gzip" };

const { script, client } = await startEcho({ maxRequestBytes: LIMIT_BYTES, maxResponseBytes: LIMIT_BYTES });
let handled = 0;

beforeEach(() => {
  handled = 0;
  script.unary = ({ value }) => {
    handled++;
    return { value };
  };
});

test.each([
  { "content-type": "application/grpc" },
  { "content-type": "application/grpc+proto" },
  { "content-type": "application/grpc;charset=utf-8" },
  { "content-type": "Application/gRPC" },
  { "grpc-encoding": "identity" },
  { "grpc-encoding": "gzip" },
  { "grpc-timeout": "99999999H" },
])("an uncompressed message may come with %j", async (headers) => {
  const answer = await client.call(ECHO_PATH.unary, HELLO, headers);

  expect(answer.messages.map(decodeEcho)).toEqual(["hello"]);
});

describe("an answer", () => {
  const long = "A".repeat(1_500);

  test.each([
    [{ "grpc-accept-encoding": "gzip" }, true],
    [{ "grpc-accept-encoding": "identity,deflate,gzip" }, true],
    [{ "grpc-accept-encoding": "identity" }, false],
    [{ "grpc-accept-encoding": "br" }, false],
    [{}, false],
  ])("to a request with %j is compressed: %s", async (headers, isCompressed) => {
    const answer = await client.call(ECHO_PATH.unary, frame(encodeEcho(long)), headers);

    expect(answer.compressed).toEqual([isCompressed]);
    expect(answer.headers["grpc-encoding"]).toBe(isCompressed ? "gzip" : undefined);
    expect(answer.messages.map(decodeEcho)).toEqual([long]);
  });

  test("that is a stream may mix compressed messages and short uncompressed ones", async () => {
    script.serverStream = async function* () {
      yield { value: "short" };
      yield { value: long };
    };

    const answer = await client.call(ECHO_PATH.serverStream, HELLO, { "grpc-accept-encoding": "gzip" });

    expect(answer.headers["grpc-encoding"]).toBe("gzip");
    expect(answer.compressed).toEqual([false, true]);
    expect(answer.messages.map(decodeEcho)).toEqual(["short", long]);
  });
});

test.each(Object.entries(ECHO_PATH))(
  "the message limit of a %s method applies when only the header of a message of 4 GiB has arrived",
  async (_kind, path) => {
    const stream = client.open(path);

    stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]));
    const [headers] = await once(stream, "response");

    expect(headers).toMatchObject({ "grpc-status": `${status.RESOURCE_EXHAUSTED}`, "grpc-retry-pushback-ms": "-1" });
  },
);

test.each([
  [LIMIT_BYTES, status.OK, 1],
  [LIMIT_BYTES + 1, status.RESOURCE_EXHAUSTED, 0],
])("an answer of %d bytes gets the status %d if the limit is 2,000", async (bytes, expected, messages) => {
  script.unary = () => ({ value: "A".repeat(bytes - OVERHEAD_BYTES) });

  const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-accept-encoding": "gzip" });

  expect(answer.status).toBe(expected);
  expect(answer.messages).toHaveLength(messages);
});

describe("a request", () => {
  const notAMessage = Buffer.from([0xff]);

  const faultyMessages = [
    ["ends inside a message header", HELLO.subarray(0, 3), {}, status.INVALID_ARGUMENT],
    ["ends inside a message", HELLO.subarray(0, 8), {}, status.INVALID_ARGUMENT],
    ["cannot be parsed", frame(notAMessage), {}, status.INVALID_ARGUMENT],
    ["has the flags 2", frame(encodeEcho(""), 2), {}, status.INVALID_ARGUMENT],
    ["has the flags 128", frame(encodeEcho(""), 128), {}, status.INVALID_ARGUMENT],
    ["has the flags 3", frame(encodeEcho(""), 3), GZIP, status.INVALID_ARGUMENT],
    ["is compressed without an encoding", gzipFrame(encodeEcho("")), {}, status.INTERNAL],
    ["is compressed as identity", gzipFrame(encodeEcho("")), { "grpc-encoding": "identity" }, status.INTERNAL],
    ["is not gzip although its encoding is gzip", frame(encodeEcho("A"), 1), GZIP, status.INVALID_ARGUMENT],
    ["is gzip without its end", frame(gzipSync(encodeEcho("A")).subarray(0, 12), 1), GZIP, status.INVALID_ARGUMENT],
    ["is compressed, but empty", frame(Buffer.alloc(0), 1), GZIP, status.INVALID_ARGUMENT],
  ] as const;

  test.each([
    ["has no message", Buffer.alloc(0), {}, status.UNIMPLEMENTED],
    ["has two messages", Buffer.concat([HELLO, HELLO]), {}, status.UNIMPLEMENTED],
    ["ends inside a second message", Buffer.concat([HELLO, HELLO.subarray(0, 2)]), {}, status.INVALID_ARGUMENT],
    ["has a malformed timeout", HELLO, { "grpc-timeout": "1.5S" }, status.INVALID_ARGUMENT],
    ["has a negative timeout", HELLO, { "grpc-timeout": "-1S" }, status.INVALID_ARGUMENT],
    ["has an empty timeout", HELLO, { "grpc-timeout": "" }, status.INVALID_ARGUMENT],
    ["has no time", HELLO, { "grpc-timeout": "0m" }, status.DEADLINE_EXCEEDED],
    ["has too little time", HELLO, { "grpc-timeout": "1n" }, status.DEADLINE_EXCEEDED],
    ...faultyMessages,
  ] as const)("that %s is refused before it reaches a handler", async (_what, body, headers, expected) => {
    const answer = await client.call(ECHO_PATH.unary, body, headers);

    expect([answer.headers[":status"], answer.status]).toEqual([200, expected]);
    expect(handled).toBe(0);
  });

  test.each(faultyMessages)(
    "that %s ends a bidirectional stream after the messages before it",
    async (_what, body, headers, expected) => {
      const answer = await client.call(ECHO_PATH.bidi, Buffer.concat([HELLO, body]), headers);

      expect(answer.messages.map(decodeEcho)).toEqual(["hello"]);
      expect(answer.status).toBe(expected);
    },
  );

  test.each([
    ...["br", "deflate", "gzip,gzip", ""].map((encoding) => ({ "grpc-encoding": encoding })),
    ...["+json", "+thrift", "x"].map((end) => ({ "content-type": `application/grpc${end}` })),
  ])("with %j is UNIMPLEMENTED, and the error says what to use", async (headers) => {
    const answer = await client.call(ECHO_PATH.unary, frame(encodeEcho("A"), 1), headers);

    expect(answer.status).toBe(status.UNIMPLEMENTED);
    expect(answer.message).toMatch(/ is not supported; use (gzip or identity|application\/grpc\+proto)$/);
    expect(answer.headers["grpc-accept-encoding"]).toBe("identity,gzip");
    expect(handled).toBe(0);
  });

  test.each(["/test.v1.EchoService/Nope", "/test.v1.EchoService", "/", "/test.v1.EchoService/Unary/", "//test/Unary"])(
    "whose path is %s is UNIMPLEMENTED",
    async (path) => {
      const answer = await client.call(path, HELLO);

      expect([answer.headers[":status"], answer.status]).toEqual([200, status.UNIMPLEMENTED]);
      expect(answer.message).toContain(path);
    },
  );

  test.each(["GET", "PUT", "HEAD", "DELETE", "FOO"])("whose HTTP method is %s is 405", async (method) => {
    const answer = await client.call(ECHO_PATH.unary, HELLO, { ":method": method });

    expect(answer.headers).toMatchObject({ ":status": 405, allow: "POST" });
    expect(handled).toBe(0);
  });

  test.each<[string, string, OutgoingHttpHeaders]>([
    ["a wrong method", ECHO_PATH.unary, { ":method": "GET" }],
    ["an unknown path", "/test.v1.EchoService/Nope", {}],
    ["a malformed timeout", ECHO_PATH.unary, { "grpc-timeout": "soon" }],
    ["an unknown encoding", ECHO_PATH.unary, { "grpc-encoding": "br" }],
  ])("with %s is answered and closed even if it never ends", async (_what, path, headers) => {
    const stream = client.open(path, headers);
    stream.resume();

    await once(stream, "close");

    expect(stream.rstCode).toBe(0);
  });
});
