import type { OutgoingHttpHeaders } from "node:http2";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EchoHttp2, frame, gzipFrame } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, ScriptedEcho } from "../../support/echo-service.ts";
import type { TestServer } from "../../support/test-server.ts";
import { startTestServer } from "../../support/test-server.ts";

const LIMIT_BYTES = 2_000;
/** The size of the tag and length of a string of about that size. */
const OVERHEAD_BYTES = 3;
const HELLO = frame(encodeEcho("hello"));
const GZIP = { "grpc-encoding": "gzip" };

const script = new ScriptedEcho();
let server: TestServer;
let client: EchoHttp2;
let handled = 0;

beforeAll(async () => {
  const methods = script.methods({ maxRequestBytes: LIMIT_BYTES, maxResponseBytes: LIMIT_BYTES });
  server = await startTestServer(methods);
  client = new EchoHttp2(server.address);
});

afterAll(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

beforeEach(() => {
  handled = 0;
  script.unary = ({ value }) => {
    handled++;
    return { value };
  };
});

function messageOf(bytes: number): Buffer {
  return encodeEcho("A".repeat(bytes - OVERHEAD_BYTES));
}

describe("a unary call", () => {
  test("is answered with headers, one message and trailers", async () => {
    const answer = await client.call(ECHO_PATH.unary, HELLO);

    expect(answer.headers).toMatchObject({ ":status": 200, "content-type": "application/grpc+proto" });
    expect(answer.headers).not.toHaveProperty("grpc-status");
    expect(answer.messages.map(decodeEcho)).toEqual(["hello"]);
    expect(answer.trailers).toMatchObject({ "grpc-status": "0" });
  });

  test("may have an empty message", async () => {
    const answer = await client.call(ECHO_PATH.unary, frame());

    expect(answer.messages).toEqual([Buffer.alloc(0)]);
    expect(answer.status).toBe(status.OK);
  });

  test("may arrive in single bytes", async () => {
    const stream = client.open(ECHO_PATH.unary);
    const answered = new Promise<Buffer>((resolve) => {
      stream.once("data", resolve);
    });

    for (const byte of HELLO) {
      await new Promise((resolve) => {
        stream.write(Buffer.from([byte]), resolve);
      });
    }
    stream.end();

    expect(decodeEcho((await answered).subarray(5))).toBe("hello");
  });

  test.each(["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "Application/gRPC"])(
    "may have the content type %s",
    async (type) => {
      const answer = await client.call(ECHO_PATH.unary, HELLO, { "content-type": type });

      expect(answer.status).toBe(status.OK);
    },
  );

  test.each(["identity", "gzip"])("may be uncompressed with the encoding %s", async (encoding) => {
    const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-encoding": encoding });

    expect(answer.messages.map(decodeEcho)).toEqual(["hello"]);
  });

  test("may be compressed, and its Call records that", async () => {
    const before = server.ended.length;

    const answer = await client.call(ECHO_PATH.unary, gzipFrame(encodeEcho("hello")), GZIP);
    await client.call(ECHO_PATH.unary, HELLO, GZIP);

    expect(answer.messages.map(decodeEcho)).toEqual(["hello"]);
    expect(server.ended.slice(before).map(({ isRequestCompressed }) => isRequestCompressed)).toEqual([true, false]);
  });
});

describe("an answer", () => {
  const long = "A".repeat(1_500);

  test.each([
    ["gzip", true],
    ["identity,deflate,gzip", true],
    ["identity", false],
    ["br", false],
    [undefined, false],
  ])("to a client that accepts %s is compressed: %s", async (accepted, isCompressed) => {
    const headers: OutgoingHttpHeaders = accepted === undefined ? {} : { "grpc-accept-encoding": accepted };

    const answer = await client.call(ECHO_PATH.unary, frame(encodeEcho(long)), headers);

    expect(answer.compressed).toEqual([isCompressed]);
    expect(answer.headers["grpc-encoding"]).toBe(isCompressed ? "gzip" : undefined);
    expect(answer.messages.map(decodeEcho)).toEqual([long]);
  });

  test("is not compressed when it is short", async () => {
    const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-accept-encoding": "gzip" });

    expect(answer.compressed).toEqual([false]);
    expect(answer.headers).not.toHaveProperty("grpc-encoding");
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

  test("of a method that turns compression off is not compressed", async () => {
    await using plain = await startTestServer(script.methods({ compressResponses: false }));
    using other = new EchoHttp2(plain.address);

    const answer = await other.call(ECHO_PATH.unary, frame(encodeEcho(long)), { "grpc-accept-encoding": "gzip" });

    expect(answer.compressed).toEqual([false]);
  });
});

describe.each([
  ["unary", ECHO_PATH.unary],
  ["server-streaming", ECHO_PATH.serverStream],
  ["client-streaming", ECHO_PATH.clientStream],
  ["bidirectional", ECHO_PATH.bidi],
])("the message limit of a %s method", (_kind, path) => {
  test.each([
    ["equal to it", frame(messageOf(LIMIT_BYTES)), {}, status.OK],
    ["one byte over it", frame(messageOf(LIMIT_BYTES + 1)), {}, status.RESOURCE_EXHAUSTED],
    ["equal to it after decompression", gzipFrame(messageOf(LIMIT_BYTES)), GZIP, status.OK],
    ["one byte over it after decompression", gzipFrame(messageOf(LIMIT_BYTES + 1)), GZIP, status.RESOURCE_EXHAUSTED],
    ["far over it after decompression", gzipFrame(Buffer.alloc(1_000_000)), GZIP, status.RESOURCE_EXHAUSTED],
    ["over it before decompression", frame(Buffer.alloc(LIMIT_BYTES + 1), 1), GZIP, status.RESOURCE_EXHAUSTED],
  ])("applies to a request %s", async (_what, body, headers, expected) => {
    const answer = await client.call(path, body, headers);

    expect(answer.status).toBe(expected);
  });

  test("applies when only the header of a message of 4 GiB has arrived", async () => {
    const stream = client.open(path);
    const answered = new Promise<unknown>((resolve) => {
      stream.once("response", resolve);
    });

    stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]));

    expect(await answered).toMatchObject({
      "grpc-status": String(status.RESOURCE_EXHAUSTED),
      "grpc-retry-pushback-ms": "-1",
    });
  });
});

describe("the limit of an answer", () => {
  test.each([
    [LIMIT_BYTES, status.OK, 1],
    [LIMIT_BYTES + 1, status.RESOURCE_EXHAUSTED, 0],
  ])("of 2,000 bytes gives an answer of %d bytes the status %d", async (bytes, expected, messages) => {
    script.unary = () => ({ value: "A".repeat(bytes - OVERHEAD_BYTES) });

    const answer = await client.call(ECHO_PATH.unary, HELLO, { "grpc-accept-encoding": "gzip" });

    expect(answer.status).toBe(expected);
    expect(answer.messages).toHaveLength(messages);
  });

  test("ends a stream at the first message that exceeds it", async () => {
    script.serverStream = async function* () {
      yield { value: "short" };
      yield { value: "A".repeat(LIMIT_BYTES) };
      yield { value: "never" };
    };

    const answer = await client.call(ECHO_PATH.serverStream, HELLO);

    expect(answer.messages.map(decodeEcho)).toEqual(["short"]);
    expect(answer.status).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe("a malformed request", () => {
  const notAMessage = Buffer.from([0xff]);

  test.each([
    ["has no message", Buffer.alloc(0), {}, status.UNIMPLEMENTED],
    ["has two messages", Buffer.concat([HELLO, HELLO]), {}, status.UNIMPLEMENTED],
    ["ends inside a message header", HELLO.subarray(0, 3), {}, status.INVALID_ARGUMENT],
    ["ends inside a message", HELLO.subarray(0, 8), {}, status.INVALID_ARGUMENT],
    ["ends inside a second message", Buffer.concat([HELLO, HELLO.subarray(0, 2)]), {}, status.INVALID_ARGUMENT],
    ["cannot be parsed", frame(notAMessage), {}, status.INVALID_ARGUMENT],
    ["has the flags 2", frame(encodeEcho(""), 2), {}, status.INVALID_ARGUMENT],
    ["has the flags 128", frame(encodeEcho(""), 128), {}, status.INVALID_ARGUMENT],
    ["has the flags 3", frame(encodeEcho(""), 3), GZIP, status.INVALID_ARGUMENT],
    ["is compressed without an encoding", gzipFrame(encodeEcho("")), {}, status.INTERNAL],
    ["is compressed as identity", gzipFrame(encodeEcho("")), { "grpc-encoding": "identity" }, status.INTERNAL],
    ["is not gzip although its encoding is gzip", frame(encodeEcho("A"), 1), GZIP, status.INVALID_ARGUMENT],
    ["is gzip without its end", frame(gzipSync(encodeEcho("A")).subarray(0, 12), 1), GZIP, status.INVALID_ARGUMENT],
    ["is compressed, but empty", frame(Buffer.alloc(0), 1), GZIP, status.INVALID_ARGUMENT],
  ])("that %s is refused before it reaches a handler", async (_what, body, headers, expected) => {
    const answer = await client.call(ECHO_PATH.unary, body, headers);

    expect([answer.headers[":status"], answer.status]).toEqual([200, expected]);
    expect(handled).toBe(0);
  });

  test.each([
    ["ends inside a message", HELLO.subarray(0, 8), {}, status.INVALID_ARGUMENT],
    ["cannot be parsed", frame(notAMessage), {}, status.INVALID_ARGUMENT],
    ["has the flags 2", frame(encodeEcho(""), 2), {}, status.INVALID_ARGUMENT],
    ["is compressed without an encoding", gzipFrame(encodeEcho("")), {}, status.INTERNAL],
  ])("that %s ends a bidirectional stream after the messages before it", async (_what, body, headers, expected) => {
    const answer = await client.call(ECHO_PATH.bidi, Buffer.concat([HELLO, body]), headers);

    expect(answer.messages.map(decodeEcho)).toEqual(["hello"]);
    expect(answer.status).toBe(expected);
  });

  test.each(["br", "deflate", "gzip,gzip", ""])("whose encoding is %j is UNIMPLEMENTED", async (encoding) => {
    const answer = await client.call(ECHO_PATH.unary, frame(encodeEcho("A"), 1), { "grpc-encoding": encoding });

    expect(answer.status).toBe(status.UNIMPLEMENTED);
    expect(answer.headers["grpc-accept-encoding"]).toBe("identity,gzip");
    expect(handled).toBe(0);
  });

  test.each(["application/grpc+json", "application/grpc+thrift", "application/grpcx"])(
    "whose content type is %s is UNIMPLEMENTED, and the error names the one to use",
    async (type) => {
      const answer = await client.call(ECHO_PATH.unary, HELLO, { "content-type": type });

      expect(answer.status).toBe(status.UNIMPLEMENTED);
      expect(answer.message).toContain("application/grpc+proto");
      expect(handled).toBe(0);
    },
  );

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

    await new Promise((resolve) => {
      stream.once("close", resolve);
    });

    expect(stream.rstCode).toBe(0);
  });
});
