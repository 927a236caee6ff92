import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { ErrorInfoSchema, RequestInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { LookupRequestSchema, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import type { RunningListener } from "../../../src/server/running-listener.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { type EchoHandlers, startEchoHttp } from "../../support/echo-server.ts";

const lookupPath = "/vehicle.v1.VehicleService/Lookup";
const batchPath = "/vehicle.v1.VehicleService/BatchLookup";
const log = new MemoryLogger();

const handlers: EchoHandlers = {
  lookup: async ({ vin }, context) => {
    if (vin === "hang") {
      return await new Promise(() => {});
    }
    if (vin === "throw") {
      throw new TypeError("secret");
    }
    if (vin === "broken") {
      throw new ConnectError(`character ${"💥".slice(0, 1)}`, Code.InvalidArgument);
    }
    if (vin === "none") {
      throw new ConnectError("not known", Code.NotFound, undefined, [
        { desc: ErrorInfoSchema, value: { reason: "VIN_NOT_DECODED" } },
      ]);
    }
    context.responseHeader.set("x-left-ms", String(context.timeoutMs()));
    return { vin, make: "M".repeat(vin.startsWith("long") ? 5000 : 1) };
  },
  async *batchLookup({ vins }) {
    yield { vin: vins[0] ?? "" };
    if (vins[0] === "fail") {
      throw new ConnectError("half-way", Code.DataLoss);
    }
    if (vins[0] === "hang") {
      await new Promise(() => {});
    }
  },
  async *export() {
    yield { part: { case: "data", value: new Uint8Array(10_000) } };
  },
};

let server: RunningListener;
beforeAll(async () => {
  server = await startEchoHttp(handlers, {
    log,
    limits: {
      methods: {
        "vehicle.v1.VehicleService/BatchLookup": { maxRequestBytes: 256 * 1024 },
        "vehicle.v1.VehicleService/Export": { compressResponses: false },
      },
    },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const transports: Record<string, () => Transport> = {
  Connect: () => createConnectTransport({ baseUrl: `http://${server.address}`, httpVersion: "1.1" }),
  "Connect with JSON": () =>
    createConnectTransport({ baseUrl: `http://${server.address}`, httpVersion: "1.1", useBinaryFormat: false }),
  "gRPC-Web": () => createGrpcWebTransport({ baseUrl: `http://${server.address}`, httpVersion: "1.1" }),
};

async function failure(call: Promise<unknown>): Promise<ConnectError> {
  return ConnectError.from(await call.catch((reason: unknown) => reason));
}

async function post(path: string, type: string, body: Uint8Array | string, headers: object = {}): Promise<Response> {
  return await fetch(`http://${server.address}${path}`, {
    method: "POST",
    headers: { "content-type": type, ...headers },
    body,
  });
}

for (const [protocol, transport] of Object.entries(transports)) {
  describe(`${protocol} on HTTP/1.1`, () => {
    test("calls a unary method", async () => {
      const client = createClient(VehicleService, transport());

      const response = await client.lookup({ vin: "V" });

      expect(response).toMatchObject({ vin: "V", make: "M" });
    });

    test("reads a stream", async () => {
      const client = createClient(VehicleService, transport());

      const messages = await Array.fromAsync(client.batchLookup({ vins: ["V"] }));

      expect(messages).toMatchObject([{ vin: "V" }]);
    });

    test("gets code and details of an error", async () => {
      const client = createClient(VehicleService, transport());

      const error = await failure(client.lookup({ vin: "none" }));

      expect(error.code).toBe(Code.NotFound);
      expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "VIN_NOT_DECODED" }]);
    });

    test("gets an error half-way through a stream", async () => {
      const client = createClient(VehicleService, transport());

      const error = await failure(Array.fromAsync(client.batchLookup({ vins: ["fail"] })));

      expect(error).toMatchObject({ code: Code.DataLoss, rawMessage: "half-way" });
    });

    test("gets the request's id once, in a stream that fails at once, too", async () => {
      const client = createClient(VehicleService, transport());
      const headers = { "x-request-id": "mine" };

      const unary = await failure(client.lookup({ vin: "none" }, { headers }));
      const stream = await failure(Array.fromAsync(client.batchLookup({ vins: ["fail"] }, { headers })));

      for (const error of [unary, stream]) {
        expect(error.findDetails(RequestInfoSchema)).toMatchObject([{ requestId: "mine" }]);
        expect(error.metadata.get("x-request-id")).toBe("mine");
      }
    });

    test("learns nothing of an unexpected error", async () => {
      const client = createClient(VehicleService, transport());

      const error = await failure(client.lookup({ vin: "throw" }));

      expect(error).toMatchObject({ code: Code.Internal, rawMessage: expect.stringContaining("request id") });
      expect(log.lines.findLast((line) => line.level === "error")).toMatchObject({
        fields: { procedure: "vehicle.v1.VehicleService/Lookup", err: new TypeError("secret") },
      });
      log.lines.length = 0;
    });

    test("gets a message with a broken surrogate pair", async () => {
      const client = createClient(VehicleService, transport());

      const error = await failure(client.lookup({ vin: "broken" }));

      expect(error).toMatchObject({ code: Code.InvalidArgument, rawMessage: "character \uFFFD" });
    });

    test("is answered at its deadline, whatever the handler does", async () => {
      const client = createClient(VehicleService, transport());
      const startedAt = Date.now();

      const unary = await failure(client.lookup({ vin: "hang" }, { timeoutMs: 200 }));
      const stream = await failure(Array.fromAsync(client.batchLookup({ vins: ["hang"] }, { timeoutMs: 200 })));

      expect(unary.code).toBe(Code.DeadlineExceeded);
      expect(stream.code).toBe(Code.DeadlineExceeded);
      expect(Date.now() - startedAt).toBeLessThan(600);
    });

    test("gets the default deadline when it asks for none, and the ceiling when it asks for more", async () => {
      const client = createClient(VehicleService, transport());
      const left = { none: 0, more: 0 };

      await client.lookup({}, { onHeader: (header) => (left.none = Number(header.get("x-left-ms"))) });
      await client.lookup(
        {},
        { timeoutMs: 3_600_000, onHeader: (header) => (left.more = Number(header.get("x-left-ms"))) },
      );

      expect(left.none).toBeGreaterThan(9000);
      expect(left.none).toBeLessThanOrEqual(10_000);
      expect(left.more).toBeGreaterThan(29_000);
      expect(left.more).toBeLessThanOrEqual(30_000);
    });

    test("may send as much as the method allows", async () => {
      const client = createClient(VehicleService, transport());

      const tooLong = await failure(client.lookup({ vin: "A".repeat(5000) }));
      const [first] = await Array.fromAsync(client.batchLookup({ vins: ["A".repeat(5000)] }));

      expect(tooLong.code).toBe(Code.ResourceExhausted);
      expect(first?.vin).toHaveLength(5000);
    });
  });
}

/** What an answer in any of the protocols says of the error that it is. */
async function toldBy(response: Response): Promise<object> {
  const type = response.headers.get("content-type") ?? "";
  const bytes = await response.bytes();
  const payload = bytes.subarray(type === "application/json" ? 0 : 5);
  const error = type.startsWith("application/grpc-web")
    ? findTrailerError(trailerParse(payload))
    : type === "application/json"
      ? errorFromJsonBytes(payload, undefined, new ConnectError("no error"))
      : endStreamFromJson(payload).error;
  return {
    id: response.headers.get("x-request-id"),
    code: error?.code,
    reasons: error?.findDetails(ErrorInfoSchema).map(({ reason }) => reason),
    requests: error?.findDetails(RequestInfoSchema).map(({ requestId }) => requestId),
  };
}

function envelope(bytes: Uint8Array): Buffer {
  return Buffer.from(encodeEnvelope(0, bytes));
}

describe("an error from before the interceptors", () => {
  const malformed = Buffer.from([0x0a, 0x20, 0x41]);
  const long = Buffer.from(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: "A".repeat(5000) })));
  const { InvalidArgument, ResourceExhausted, Unimplemented } = Code;

  test.each([
    ["malformed protobuf", "application/proto", malformed, {}, InvalidArgument, "MALFORMED_REQUEST"],
    ["malformed JSON", "application/json", Buffer.from('{"vin":'), {}, InvalidArgument, "MALFORMED_REQUEST"],
    ["too long a message", "application/proto", long, {}, ResourceExhausted, "MESSAGE_TOO_LARGE"],
    [
      "no timeout",
      "application/proto",
      Buffer.alloc(0),
      { "connect-timeout-ms": "soon" },
      InvalidArgument,
      "MALFORMED_REQUEST",
    ],
    [
      "an unknown encoding",
      "application/proto",
      Buffer.alloc(0),
      { "content-encoding": "x" },
      Unimplemented,
      "UNSUPPORTED",
    ],
    ["malformed protobuf", "application/grpc-web+proto", envelope(malformed), {}, InvalidArgument, "MALFORMED_REQUEST"],
    ["too long a message", "application/grpc-web+proto", envelope(long), {}, ResourceExhausted, "MESSAGE_TOO_LARGE"],
  ])("has a reason and the request's id: %s, %s", async (_what, type, body, headers, code, reason) => {
    const response = await post(lookupPath, type, body, { ...headers, "x-request-id": "mine" });

    expect(await toldBy(response)).toEqual({ id: "mine", code, reasons: [reason], requests: ["mine"] });
  });

  test.each(["application/connect+proto", "application/grpc-web+proto"])(
    "has a reason and the request's id in a stream of %s, one that was made here when none was given",
    async (type) => {
      const told = await toldBy(await post(batchPath, type, envelope(malformed)));

      expect(told).toMatchObject({ code: Code.InvalidArgument, reasons: ["MALFORMED_REQUEST"] });
      expect(told).toMatchObject({ requests: [Reflect.get(told, "id")], id: expect.stringMatching(/^[\da-f-]{36}$/) });
    },
  );
});

test("a GET whose message is no base64 is the client's fault", async () => {
  const query = "?connect=v1&encoding=proto&base64=1&message=!!!!";

  const lookup = await fetch(`http://${server.address}${lookupPath}${query}`, { headers: { "x-request-id": "mine" } });
  const remove = await fetch(`http://${server.address}/vehicle.v1.VehicleService/Remove${query}`);

  expect(lookup.status).toBe(400);
  expect(await toldBy(lookup)).toEqual({
    id: "mine",
    code: Code.InvalidArgument,
    reasons: ["MALFORMED_REQUEST"],
    requests: ["mine"],
  });
  expect(remove.status).toBe(405);
});

describe("the HTTP listener", () => {
  test("blames the client for malformed protobuf", async () => {
    const bytes = Buffer.from([0x0a, 0x20, 0x41]);
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, 3]), bytes]);

    const connect = await post(lookupPath, "application/proto", bytes);
    const grpcWeb = await post(lookupPath, "application/grpc-web+proto", envelope);
    const connectStream = await post(batchPath, "application/connect+proto", envelope);
    const grpcWebStream = await post(batchPath, "application/grpc-web+proto", envelope);

    expect(connect.status).toBe(400);
    await expect(connect.json()).resolves.toMatchObject({ code: "invalid_argument" });
    await expect(grpcWeb.text()).resolves.toMatch(/grpc-status: 3\r\n/);
    await expect(connectStream.text()).resolves.toContain('"code":"invalid_argument"');
    await expect(grpcWebStream.text()).resolves.toMatch(/grpc-status: 3\r\n/);
  });

  test("ends calls at their deadline by itself, whatever the handler does", async () => {
    const startedAt = Date.now();
    const hang = Buffer.from([0x0a, 4, ...Buffer.from("hang")]);
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, hang.byteLength]), hang]);

    const [unary, grpcWeb, stream] = await Promise.all([
      post(lookupPath, "application/proto", hang, { "connect-timeout-ms": "200" }),
      post(lookupPath, "application/grpc-web+proto", envelope, { "grpc-timeout": "200m" }),
      post(batchPath, "application/connect+proto", envelope, { "connect-timeout-ms": "200" }),
    ]);

    await expect(unary.json()).resolves.toMatchObject({ code: "deadline_exceeded" });
    await expect(grpcWeb.text()).resolves.toMatch(/grpc-status: 4\r\n/);
    await expect(stream.text()).resolves.toContain('"code":"deadline_exceeded"');
    expect(Date.now() - startedAt).toBeLessThan(1000);
  });

  test("blames the client for malformed JSON", async () => {
    const response = await post(lookupPath, "application/json", '{"vin":');

    expect(response.status).toBe(400);
    await expect(response.json()).resolves.toMatchObject({ code: "invalid_argument" });
  });

  test("answers GET for methods without side effects, and for no others", async () => {
    const query = `?connect=v1&encoding=json&message=${encodeURIComponent('{"vin":"V"}')}`;

    const lookup = await fetch(`http://${server.address}${lookupPath}${query}`);
    const remove = await fetch(`http://${server.address}/vehicle.v1.VehicleService/Remove${query}`);

    await expect(lookup.json()).resolves.toMatchObject({ vin: "V" });
    expect(remove.status).toBe(405);
  });

  test("compresses long answers with gzip and nothing else, and bytes that are compressed already not at all", async () => {
    const accept = { "accept-encoding": "br, gzip", "connect-accept-encoding": "br, gzip" };

    const long = await post(lookupPath, "application/json", '{"vin":"long"}', accept);
    const short = await post(lookupPath, "application/json", '{"vin":"V"}', accept);
    const exported = await post(
      "/vehicle.v1.VehicleService/Export",
      "application/connect+proto",
      Buffer.from([0, 0, 0, 0, 0]),
      accept,
    );
    const [flag] = new Uint8Array(await exported.arrayBuffer());

    expect(long.headers.get("content-encoding")).toBe("gzip");
    expect(short.headers.get("content-encoding")).toBeNull();
    expect(flag).toBe(0);
  });

  test("does not speak gRPC itself", async () => {
    const response = await post(lookupPath, "application/grpc", Buffer.from([0, 0, 0, 0, 0]));

    expect(response.status).toBe(415);
  });
});
