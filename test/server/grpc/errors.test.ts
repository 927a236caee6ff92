import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { ErrorInfoSchema, RequestInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { GrpcAnswer } from "../../support/echo-http2.ts";
import { EchoHttp2, frame } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, startEcho } from "../../support/echo-service.ts";
import { startTestServer } from "../../support/test-server.ts";

const HELLO = frame(encodeEcho("hello"));
const SECRET = "SELECT secret FROM /var/lib/vehicles.db";

const { script, server, client } = await startEcho();

/** The error that a client creates from an answer. */
function errorIn({ trailers }: GrpcAnswer): ConnectError {
  const named = Object.entries(trailers).filter(([name]) => !name.startsWith(":"));
  const error = findTrailerError(new Headers(named.map(([name, value]) => [name, String(value)])));
  if (error === undefined) {
    throw new Error("the call succeeded");
  }
  return error;
}

/** A stream that fails instead of yielding its first message. */
function failingMessages(reason: Error): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(reason) }) };
}

const KINDS = Object.entries(ECHO_PATH);

describe.each(KINDS)("an error of a %s handler", (kind, path) => {
  const messages = kind === "unary" || kind === "clientStream" ? [] : ["first"];

  test("reaches the client with code, message and details", async () => {
    const details = [{ desc: ErrorInfoSchema, value: { reason: "OWN", domain: "test" } }];
    script.fail(new ConnectError("not here", Code.DataLoss, { "x-hint": "17" }, details));

    const answer = await client.call(path, HELLO);

    const error = errorIn(answer);
    expect(answer.messages.map(decodeEcho)).toEqual(messages);
    expect([answer.status, answer.message]).toEqual([status.DATA_LOSS, "not here"]);
    expect([error.code, error.rawMessage]).toEqual([Code.DataLoss, "not here"]);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "OWN", domain: "test" }]);
    expect(answer.trailers["x-hint"]).toBe("17");
    expect(server.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  });

  test.each([
    ["an error", new TypeError(SECRET)],
    ["an object", { message: SECRET }],
  ])("that is unexpected shows no details of %s, and is logged once with the request's id", async (_what, thrown) => {
    script.fail(thrown);

    const answer = await client.call(path, HELLO, { "x-request-id": "r-2" });

    const error = errorIn(answer);
    expect([answer.status, answer.message]).toEqual([
      status.INTERNAL,
      "internal error; quote request id r-2 when reporting it",
    ]);
    expect(JSON.stringify([answer.headers, answer.trailers, error.details])).not.toMatch(/secret|SELECT|vehicles/);
    expect(Buffer.from(String(answer.trailers["grpc-status-details-bin"]), "base64").toString()).not.toMatch(/secret/);
    expect(server.logger.lines.filter(({ level }) => level === "error")).toMatchObject([
      { message: "call failed", fields: { requestId: "r-2", err: thrown } },
    ]);
  });
});

describe("an error before the first message", () => {
  test.each(KINDS)("of a %s method is a trailers-only answer", async (_kind, path) => {
    const error = new ConnectError("no", Code.NotFound);
    script.fail(error);
    script.serverStream = () => failingMessages(error);
    script.bidi = () => failingMessages(error);

    const answer = await client.call(path, HELLO);

    expect(answer.headers).toMatchObject({
      ":status": 200,
      "content-type": "application/grpc+proto",
      "grpc-status": String(status.NOT_FOUND),
    });
    expect(answer.messages).toEqual([]);
  });
});

test.each([
  ["100 % – ü\r\n\t\0", "100%20%25%20%E2%80%93%20%C3%BC%0D%0A%09%00"],
  ["vin: a/b?c=d&e", "vin:%20a/b?c=d&e"],
  ["", ""],
  ["\uD83D half a character", "%EF%BF%BD%20half%20a%20character"],
])("the message %j is percent-encoded", async (message, encoded) => {
  script.unary = () => Promise.reject(new ConnectError(message, Code.NotFound));

  const answer = await client.call(ECHO_PATH.unary, HELLO);

  expect([answer.status, answer.trailers["grpc-message"]]).toEqual([status.NOT_FOUND, encoded]);
});

test.each([
  "connection",
  "transfer-encoding",
  "proxy-connection",
  "http2-settings",
  "te",
  "content-type",
  "grpc-status",
])("metadata of an error with the name %s does not break the answer", async (name) => {
  const error = new ConnectError("no", Code.NotFound, { [name]: "5", "x-kept": "1" });
  script.fail(error);

  const alone = await client.call(ECHO_PATH.unary, HELLO);
  const after = await client.call(ECHO_PATH.serverStream, HELLO);

  for (const answer of [alone, after]) {
    expect(answer.status).toBe(status.NOT_FOUND);
    expect(answer.trailers["x-kept"]).toBe("1");
    expect(answer.headers["content-type"]).toBe("application/grpc+proto");
  }
});

describe("a request id", () => {
  test.each(["mine", "a.b:c-d_e", "x".repeat(64)])("that a client sends is kept: %s", async (id) => {
    const good = await client.call(ECHO_PATH.unary, HELLO, { "x-request-id": id });
    script.fail(new ConnectError("no", Code.NotFound));
    const bad = await client.call(ECHO_PATH.unary, HELLO, { "x-request-id": id });

    expect([good.headers["x-request-id"], bad.headers["x-request-id"]]).toEqual([id, id]);
    expect(errorIn(bad).findDetails(RequestInfoSchema)).toMatchObject([{ requestId: id }]);
  });

  test.each([undefined, "", "a b", '{"forged":1}', "x".repeat(65)])(
    "is created for each call if the client sends %j",
    async (given) => {
      const headers = given === undefined ? {} : { "x-request-id": given };

      const ids = [
        (await client.call(ECHO_PATH.unary, HELLO, headers)).headers["x-request-id"],
        (await client.call("/no.Such/Method", HELLO, headers)).headers["x-request-id"],
        (await client.call(ECHO_PATH.unary, HELLO, { ...headers, ":method": "PUT" })).headers["x-request-id"],
      ];

      expect(ids).toEqual(ids.map(() => expect.stringMatching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)));
      expect(new Set(ids).size).toBe(3);
    },
  );
});

test("OVERLOADED is sent while all slots are taken, and not when one is free again", async () => {
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  script.unary = async ({ value }) => {
    arrived.resolve();
    await finished;
    return { value };
  };
  await using small = await startTestServer(script.methods(), { maxCalls: 1 });
  using other = new EchoHttp2(small.address);
  const running = other.call(ECHO_PATH.unary, HELLO);
  await arrived.promise;

  const refused = await other.call(ECHO_PATH.unary, HELLO);
  finish();
  await running;
  const later = await other.call(ECHO_PATH.unary, HELLO);

  expect(refused.status).toBe(status.RESOURCE_EXHAUSTED);
  expect(errorIn(refused).findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "OVERLOADED" }]);
  expect(refused.trailers["grpc-retry-pushback-ms"]).toBe("1000");
  expect(later.status).toBe(status.OK);
  expect([small.server.calls.inFlight, small.server.calls.refused]).toEqual([0, 1]);
});

test("calls without a message on one connection leave room for another connection", async () => {
  await using small = await startTestServer(script.methods(), { maxCalls: 10 });
  using greedy = new EchoHttp2(small.address);
  using honest = new EchoHttp2(small.address);
  for (let count = 0; count < 20; count++) {
    greedy.open(ECHO_PATH.unary);
  }
  await small.whenEnded(10);

  const answer = await honest.call(ECHO_PATH.unary, HELLO);

  expect(answer.status).toBe(status.OK);
});
