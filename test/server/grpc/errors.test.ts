import { Code, ConnectError } from "@connectrpc/connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { ErrorInfoSchema, RequestInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { GrpcAnswer } from "../../support/echo-http2.ts";
import { EchoHttp2 } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, HELLO, startEcho } from "../../support/echo-service.ts";
import { eventually } from "../../support/eventually.ts";
import { startTestServer } from "../../support/test-server.ts";

const { script, server, client } = await startEcho();

/** The error that a client creates from an answer. */
function errorIn({ trailers }: GrpcAnswer): ConnectError {
  const named = Object.entries(trailers).filter(([name]) => !name.startsWith(":"));
  const error = findTrailerError(new Headers(named.map(([name, value]) => [name, String(value)])));
  return error ?? new ConnectError("the call succeeded");
}

test.each(Object.entries(ECHO_PATH))(
  "an error of a %s handler reaches the client with code, message and details",
  async (kind, path) => {
    const details = [{ desc: ErrorInfoSchema, value: { reason: "OWN", domain: "test" } }];
    script.fail(new ConnectError("not here", Code.DataLoss, { "x-hint": "17" }, details));

    const answer = await client.call(path, HELLO);

    const error = errorIn(answer);
    expect(answer.messages.map(decodeEcho)).toEqual(kind === "unary" || kind === "clientStream" ? [] : ["first"]);
    expect([answer.status, answer.message]).toEqual([status.DATA_LOSS, "not here"]);
    expect([error.code, error.rawMessage]).toEqual([Code.DataLoss, "not here"]);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "OWN", domain: "test" }]);
    expect(answer.trailers["x-hint"]).toBe("17");
    expect(server.logger.lines).toEqual([]);
  },
);

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

test("metadata of an error cannot break the answer", async () => {
  const reserved = ["connection", "transfer-encoding", "proxy-connection", "http2-settings", "te", "grpc-status"];
  const metadata = Object.fromEntries([...reserved, "content-type"].map((name) => [name, "5"]));
  script.fail(new ConnectError("no", Code.NotFound, { ...metadata, "x-kept": "1" }));

  const alone = await client.call(ECHO_PATH.unary, HELLO);
  const after = await client.call(ECHO_PATH.serverStream, HELLO);

  for (const answer of [alone, after]) {
    expect(answer.status).toBe(status.NOT_FOUND);
    expect(answer.trailers["x-kept"]).toBe("1");
    expect(answer.headers["content-type"]).toBe("application/grpc+proto");
  }
});

const NEW_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

test.each([
  ...["mine", "a.b:c-d_e", "x".repeat(64)].map((id) => [id, "kept", new RegExp(`^${id}$`), 1] as const),
  ...["", "a b", '{"forged":1}', "x".repeat(65)].map((id) => [id, "replaced", NEW_ID, 4] as const),
])("the request id %j is %s in every answer", async (id, _fate, expected, different) => {
  script.serverStream = () => {
    throw new ConnectError("no", Code.NotFound);
  };
  const named = { "x-request-id": id };

  const failed = await client.call(ECHO_PATH.serverStream, HELLO, named);
  const ids = [
    failed.headers["x-request-id"],
    (await client.call(ECHO_PATH.unary, HELLO, named)).headers["x-request-id"],
    (await client.call("/no.Such/Method", HELLO, named)).headers["x-request-id"],
    (await client.call(ECHO_PATH.unary, HELLO, { ...named, ":method": "PUT" })).headers["x-request-id"],
  ];

  expect(errorIn(failed).findDetails(RequestInfoSchema)).toMatchObject([{ requestId: ids[0] }]);
  expect(ids).toEqual(ids.map(() => expect.stringMatching(expected)));
  expect(new Set(ids).size).toBe(different);
});

test("OVERLOADED is sent while all slots are taken, and not when one is free again", async () => {
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  script.unary = async ({ value }) => {
    await finished;
    return { value };
  };
  await using small = await startTestServer(script.methods(), { maxCalls: 1 });
  using other = new EchoHttp2(small.address);
  const running = other.call(ECHO_PATH.unary, HELLO);
  await eventually(() => expect(small.started).toHaveLength(1));

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

  expect([answer.status, small.server.calls.inFlight]).toEqual([status.OK, 9]);
});

test("the first call without a slot is refused at once, and the others after the rest of the same read", async () => {
  const events: string[] = [];
  await using small = await startTestServer(script.methods(), {
    maxCalls: 1,
    limits: { turnMs: 0 },
    onCallStart: () => events.push("start"),
    onCallEnd: () => events.push("end"),
  });
  using greedy = new EchoHttp2(small.address);

  for (let count = 0; count < 4; count++) {
    greedy.open(ECHO_PATH.unary);
  }
  await small.whenEnded(3);

  // The first call holds the slot. The second is refused at once, because the queue has done nothing else in this turn.
  expect(events).toEqual(["start", "start", "end", "start", "start", "end", "end"]);
});
