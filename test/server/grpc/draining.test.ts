import { once } from "node:events";
import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { HealthCheckResponse_ServingStatus as Serving, HealthCheckResponseSchema } from "#gen/health/v1/health_pb.ts";
import { fromBinary } from "@bufbuild/protobuf";
import { EchoHttp2, frame, readAnswer } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, ScriptedEcho } from "../../support/echo-service.ts";
import { startTestApp } from "../../support/test-app.ts";
import { startTestServer } from "../../support/test-server.ts";

const HELLO = frame(encodeEcho("hello"));
const GRACE_MS = 600_000;

test("a drain waits for the calls that run, streams too, and loses none", async () => {
  const script = new ScriptedEcho();
  const go = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  script.unary = async (request) => {
    arrived.resolve();
    await go.promise;
    return request;
  };
  script.serverStream = async function* (request) {
    yield request;
    await go.promise;
    yield request;
  };
  await using server = await startTestServer(script.methods());
  using client = new EchoHttp2(server.address);
  const unary = client.call(ECHO_PATH.unary, HELLO);
  const streaming = client.open(ECHO_PATH.serverStream);
  const stream = readAnswer(streaming);
  streaming.end(HELLO);
  await Promise.all([arrived.promise, once(streaming, "data")]);

  const drained = server.server.drain(GRACE_MS);
  go.resolve();

  expect((await unary).messages.map(decodeEcho)).toEqual(["hello"]);
  expect(await stream).toMatchObject({ status: status.OK, messages: { length: 2 } });
  await expect(drained).resolves.toBeUndefined();
});

test("a drain cuts what still runs at the end of the grace period, and its handler is told", async () => {
  const script = new ScriptedEcho();
  const arrived = Promise.withResolvers<AbortSignal>();
  script.unary = (_request, { signal }) => {
    arrived.resolve(signal);
    return new Promise(() => {});
  };
  await using server = await startTestServer(script.methods());
  using client = new EchoHttp2(server.address);
  const answer = client.call(ECHO_PATH.unary, HELLO);
  const aborted = once(await arrived.promise, "abort");

  await server.server.drain(50);

  expect((await answer).status).toBeUndefined();
  await expect(aborted).resolves.toHaveLength(1);
  expect(server.server.calls.inFlight).toBe(0);
});

test("a drain tells watchers of the health first, and does not wait for them", async () => {
  await using app = await startTestApp();
  using client = new EchoHttp2(app.grpcAddress);
  const stream = client.open("/grpc.health.v1.Health/Watch");
  stream.end(frame());
  const answer = readAnswer(stream);
  await once(stream, "data");

  await app.drain(GRACE_MS);

  const { messages, status: code } = await answer;
  const statuses = messages.map((bytes) => fromBinary(HealthCheckResponseSchema, bytes).status);
  expect(statuses).toEqual([Serving.SERVING, Serving.NOT_SERVING]);
  expect(code).toBe(status.UNAVAILABLE);
});
