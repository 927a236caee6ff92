import { once } from "node:events";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { ClientReadableStream, StatusObject } from "@grpc/grpc-js";
import { Metadata, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { errorOf } from "../../support/error-of.ts";
import type { Relay } from "../clients/relay.ts";
import { startRelay } from "../clients/relay.ts";
import type { ReflectingServer } from "../start-server.ts";
import type { RequestSchema, Response } from "./gen/interop_pb.ts";
import { InteropService, UnimplementedService } from "./gen/interop_pb.ts";
import { GrpcJsCaller } from "./grpc-js-caller.ts";
import { startInteropServer } from "./interop-service.ts";

const { method: METHODS } = InteropService;
const REQUEST_SIZES = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES = [31_415, 9, 2_653, 58_979];
const LARGE = { payload: new Uint8Array(271_828), responseSizes: [314_159] };
const SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

let stack: AsyncDisposableStack;
let server: ReflectingServer;
let relay: Relay;
let client: GrpcJsCaller;
let compressingClient: GrpcJsCaller;

beforeAll(async () => {
  await using starting = new AsyncDisposableStack();
  server = starting.use(await startInteropServer());
  relay = starting.use(await startRelay(server.grpcAddress));
  client = starting.use(new GrpcJsCaller(relay.address));
  compressingClient = starting.use(new GrpcJsCaller(relay.address, { compresses: true }));
  stack = starting.move();
});

afterEach(() => {
  server.calls.length = 0;
});

afterAll(() => stack.disposeAsync());

function sizesOf(responses: readonly Response[]): number[] {
  return responses.map(({ payload }) => payload.byteLength);
}

/** The sizes of a stream's answers, and its status. */
async function outcomeOf(call: ClientReadableStream<Response>): Promise<{ sizes: number[]; status: StatusObject }> {
  const responses: Response[] = [];
  call.on("data", (response: Response) => responses.push(response));
  // The status has the error as well.
  call.on("error", () => {});
  const status = await new Promise<StatusObject>((resolve) => {
    call.on("status", resolve);
  });
  return { sizes: sizesOf(responses), status };
}

/** How the calls that have reached the server ended, once all have. */
async function ends(): Promise<(string | undefined)[]> {
  await expect.poll(() => server.calls.every(({ hasEnded }) => hasEnded)).toBe(true);
  return server.calls.map(({ code }) => (code === undefined ? "OK" : Code[code]));
}

test.each([
  ["gRPC", createGrpcTransport],
  ["gRPC-Web", createGrpcWebTransport],
  ["Connect", createConnectTransport],
])("connect-node, %s: a client that still sends reads why its stream has ended", async (_protocol, createTransport) => {
  const caller = new AbortController();
  const transport = createTransport({ baseUrl: `http://${server.httpAddress}`, httpVersion: "2" });
  const requests = async function* (): AsyncGenerator<MessageInitShape<typeof RequestSchema>> {
    yield { responseSizes: [5] };
    yield { status: { code: status.NOT_FOUND, message: "test status message" } };
    await once(caller.signal, "abort");
  };
  const stream = createClient(InteropService, transport).fullDuplexCall(requests());
  const answers = stream[Symbol.asyncIterator]();

  const first = await answers.next();
  const error = await errorOf(answers.next());
  caller.abort();

  expect(sizesOf([first.value])).toEqual([5]);
  expect(error.message).toBe("[not_found] test status message");
});

describe("grpc-js", () => {
  test("empty_unary: an empty request has an empty answer", async () => {
    const { message } = await client.unary(METHODS.emptyCall, {});

    expect(message).toEqual({ $typeName: "google.protobuf.Empty" });
    expect(await ends()).toEqual(["OK"]);
  });

  test("large_unary: a large request has a large answer", async () => {
    const { message } = await client.unary(METHODS.unaryCall, LARGE);

    expect(sizesOf([message])).toEqual([314_159]);
  });

  test("client_compressed_unary: the server knows whether a request is compressed, and reads both", async () => {
    const lie = client.unary(METHODS.unaryCall, { ...LARGE, expectCompressed: true });
    await expect(lie).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });

    const compressed = await compressingClient.unary(METHODS.unaryCall, { ...LARGE, expectCompressed: true });
    const plain = await client.unary(METHODS.unaryCall, { ...LARGE, expectCompressed: false });

    expect(sizesOf([compressed.message, plain.message])).toEqual([314_159, 314_159]);
  });

  test("server_compressed_unary: an answer is compressed where the method's rule says so", async () => {
    const before = relay.bytes.down;
    const compressed = await client.unary(METHODS.unaryCall, LARGE);
    const between = relay.bytes.down;
    const plain = await client.unary(METHODS.plainCall, LARGE);

    expect(sizesOf([compressed.message, plain.message])).toEqual([314_159, 314_159]);
    expect(between - before).toBeLessThan(30_000);
    expect(relay.bytes.down - between).toBeGreaterThan(300_000);
  });

  test("client_streaming: a stream of requests has one answer", async () => {
    const { call, answer } = client.clientStream(METHODS.streamingInputCall);
    for (const size of REQUEST_SIZES) {
      call.write({ payload: new Uint8Array(size) });
    }
    call.end();

    expect(await answer).toMatchObject({ payloadBytes: 74_922 });
  });

  test("server_streaming: one request has a stream of answers, in order", async () => {
    const answers = await client.serverStream(METHODS.streamingOutputCall, { responseSizes: RESPONSE_SIZES }).toArray();

    expect(sizesOf(answers)).toEqual(RESPONSE_SIZES);
  });

  test("ping_pong: each request of a stream is answered before the next is sent", async () => {
    const call = client.duplex(METHODS.fullDuplexCall);
    const answers: AsyncIterator<Response> = call[Symbol.asyncIterator]();

    const sizes: number[] = [];
    for (const [index, size] of REQUEST_SIZES.entries()) {
      call.write({ payload: new Uint8Array(size), responseSizes: RESPONSE_SIZES.slice(index, index + 1) });
      const { value } = await answers.next();
      sizes.push(...sizesOf([value]));
    }
    call.end();

    expect(sizes).toEqual(RESPONSE_SIZES);
    expect(await answers.next()).toMatchObject({ done: true });
    expect(await ends()).toEqual(["OK"]);
  });

  test("empty_stream: a stream without requests has no answers, and succeeds", async () => {
    const call = client.duplex(METHODS.fullDuplexCall);
    call.end();

    expect(await call.toArray()).toEqual([]);
    expect(await ends()).toEqual(["OK"]);
  });

  test("custom_metadata: what the client sends comes back in header and trailer", async () => {
    const metadata = new Metadata();
    metadata.set("x-grpc-test-echo-initial", "test_initial_metadata_value");
    metadata.set("x-grpc-test-echo-trailing-bin", Buffer.from([0xab, 0xab, 0xab]));

    const { header, trailer } = await client.unary(METHODS.unaryCall, {}, metadata);

    expect(header.get("x-grpc-test-echo-initial")).toEqual(["test_initial_metadata_value"]);
    expect(trailer.get("x-grpc-test-echo-trailing-bin")).toEqual([Buffer.from([0xab, 0xab, 0xab])]);
  });

  test("status_code_and_message: code and message arrive, from an answer and from a stream", async () => {
    const failing = { status: { code: status.UNKNOWN, message: "test status message" } };
    const call = client.duplex(METHODS.fullDuplexCall);
    const streaming = outcomeOf(call);
    call.end(failing);

    const expected = { code: status.UNKNOWN, details: "test status message" };
    await expect(client.unary(METHODS.unaryCall, failing)).rejects.toMatchObject(expected);
    expect(await streaming).toMatchObject({ sizes: [], status: expected });
    expect(await ends()).toEqual(["Unknown", "Unknown"]);
  });

  test("special_status_message: white space and Unicode survive", async () => {
    const call = client.unary(METHODS.unaryCall, { status: { code: status.UNKNOWN, message: SPECIAL } });

    await expect(call).rejects.toMatchObject({ code: status.UNKNOWN, details: SPECIAL });
  });

  test.each([
    ["unimplemented_method", METHODS.unimplementedCall],
    ["unimplemented_service", UnimplementedService.method.unimplementedCall],
  ])("%s: is answered UNIMPLEMENTED", async (_case, method) => {
    await expect(client.unary(method, {})).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });

  test("cancel_after_begin: a call that is cancelled before its first request ends for both", async () => {
    const { call, answer } = client.clientStream(METHODS.streamingInputCall);
    const failure = answer.catch((error: unknown) => error);
    await expect.poll(() => server.calls).toHaveLength(1);
    call.cancel();

    expect(await failure).toMatchObject({ code: status.CANCELLED });
    expect(await ends()).toHaveLength(1);
  });

  test("cancel_after_first_response: a stream that is cancelled between two answers ends for both", async () => {
    const call = client.duplex(METHODS.fullDuplexCall);
    const outcome = outcomeOf(call);
    call.write({ payload: new Uint8Array(27_182), responseSizes: [31_415] });
    await once(call, "data");
    call.cancel();

    expect(await outcome).toMatchObject({ sizes: [31_415], status: { code: status.CANCELLED } });
    // grpc-js ends its requests before it cancels. The server may see only the end, and then succeeds.
    expect(await ends()).toHaveLength(1);
  });

  test("timeout_on_sleeping_server: a stream without an answer ends at its deadline", async () => {
    const call = client.duplex(METHODS.fullDuplexCall, { deadline: Date.now() + 50 });
    const outcome = outcomeOf(call);
    call.write({ payload: new Uint8Array(27_182) });

    expect(await outcome).toMatchObject({ sizes: [], status: { code: status.DEADLINE_EXCEEDED } });
  });
});
