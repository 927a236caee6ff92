import { once } from "node:events";

import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";

import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { EchoClient } from "../../support/echo-client.ts";
import { EchoHttp2, frame } from "../../support/echo-http2.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { startEchoGrpc } from "../../support/echo-server.ts";

const { batchLookup, export: exportMethod } = VehicleService.method;

/** Notes what passes, and how it ends. */
async function* noting<T>(messages: AsyncIterable<T>, into: string[]): AsyncIterable<T> {
  let end = "returned";
  try {
    for await (const message of messages) {
      into.push("message");
      yield message;
    }
    end = "end";
  } catch (error) {
    end = Code[ConnectError.from(error).code];
    throw error;
  } finally {
    into.push(end);
  }
}

/** An interceptor that notes what it sees of a stream. */
function observe(into: string[]): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    return response.stream ? { ...response, message: noting(response.message, into) } : response;
  };
}

async function* count(to: number): AsyncGenerator<{ index: number }> {
  for (let index = 0; index < to; index++) {
    yield { index };
  }
}

describe("a server-streaming method mounted on grpc-js", () => {
  test("sends the handler's messages in order", async () => {
    await using server = await startEchoGrpc({ batchLookup: () => count(1000) });
    using client = new EchoClient(server.address);

    const seen = await client.stream(batchLookup, {});

    expect(seen.status.code).toBe(status.OK);
    expect(seen.messages.map((message) => message.index)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  });

  test("ends a stream without messages as well", async () => {
    await using server = await startEchoGrpc({ batchLookup: () => count(0) });
    using client = new EchoClient(server.address);

    const seen = await client.stream(batchLookup, {});

    expect(seen.status.code).toBe(status.OK);
    expect(seen.messages).toEqual([]);
  });

  test("sends headers before the first message and trailers after the last", async () => {
    await using server = await startEchoGrpc({
      async *batchLookup(_request, context) {
        context.responseHeader.set("x-header", "h");
        yield { index: 1 };
        context.responseTrailer.set("x-trailer", "t");
      },
    });
    using client = new EchoClient(server.address);

    const seen = await client.stream(batchLookup, {});

    expect(seen.header.get("x-header")).toEqual(["h"]);
    expect(seen.status.metadata.get("x-trailer")).toEqual(["t"]);
  });

  test("passes an error with details on after the first message", async () => {
    await using server = await startEchoGrpc({
      async *batchLookup() {
        yield { index: 1 };
        throw new ConnectError("gone", Code.Unavailable, undefined, [
          { desc: ErrorInfoSchema, value: { reason: "NO_SOURCE_AVAILABLE" } },
        ]);
      },
    });
    const client = createClient(VehicleService, createGrpcTransport({ baseUrl: `http://${server.address}` }));
    const indexes: number[] = [];
    const read = async (): Promise<void> => {
      for await (const message of client.batchLookup({})) {
        indexes.push(message.index);
      }
    };

    const error = ConnectError.from(await read().catch((reason: unknown) => reason));

    expect(indexes).toEqual([1]);
    expect(error.code).toBe(Code.Unavailable);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NO_SOURCE_AVAILABLE" }]);
  });

  test("tells the caller nothing of an unexpected error after the first message, and logs it", async () => {
    const log = new MemoryLogger();
    await using server = await startEchoGrpc(
      {
        async *batchLookup() {
          yield { index: 1 };
          throw new TypeError("secret");
        },
      },
      { log },
    );
    using client = new EchoClient(server.address);

    const seen = await client.stream(batchLookup, {});

    expect(seen.messages).toHaveLength(1);
    expect(seen.status).toMatchObject({ code: status.INTERNAL, details: expect.stringContaining("request id") });
    expect(log.lines).toMatchObject([{ level: "error", fields: { err: new TypeError("secret") } }]);
  });

  test("answers a malformed request with INVALID_ARGUMENT", async () => {
    await using server = await startEchoGrpc({ batchLookup: () => count(1) });
    using client = new EchoClient(server.address);

    const seen = await client.stream(batchLookup, {}, { bytes: Buffer.from([0xff]) });

    expect(seen.status.code).toBe(status.INVALID_ARGUMENT);
  });

  test("ends with RESOURCE_EXHAUSTED at a message that is too long", async () => {
    const limits = { defaults: { maxResponseBytes: 100 } };
    await using server = await startEchoGrpc(
      {
        async *batchLookup() {
          yield { vin: "short" };
          yield { vin: "A".repeat(200) };
        },
      },
      { limits },
    );
    using client = new EchoClient(server.address);

    const seen = await client.stream(batchLookup, {});

    expect(seen.messages).toHaveLength(1);
    expect(seen.status.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test("lets interceptors see every message and the end", async () => {
    const seen: string[] = [];
    await using server = await startEchoGrpc({ batchLookup: () => count(2) }, { interceptors: [observe(seen)] });
    using client = new EchoClient(server.address);

    await client.stream(batchLookup, {});

    expect(seen).toEqual(["message", "message", "end"]);
  });

  test("lets interceptors see the error of a stream", async () => {
    const seen: string[] = [];
    await using server = await startEchoGrpc(
      {
        async *batchLookup() {
          yield {};
          throw new ConnectError("no", Code.DataLoss);
        },
      },
      { interceptors: [observe(seen)] },
    );
    using client = new EchoClient(server.address);

    await client.stream(batchLookup, {});

    expect(seen).toEqual(["message", "DataLoss"]);
  });

  test("lets interceptors and handler see that the client has cancelled, even if the handler waits for ever", async () => {
    const seen: string[] = [];
    const cancelled = Promise.withResolvers<unknown>();
    await using server = await startEchoGrpc(
      {
        async *batchLookup(_request, context) {
          context.signal.addEventListener("abort", () => {
            cancelled.resolve(context.signal.reason);
          });
          yield {};
          await new Promise(() => {});
        },
      },
      { interceptors: [observe(seen)] },
    );
    using client = new EchoClient(server.address);
    const stream = client.open(batchLookup, {});
    stream.once("data", () => {
      stream.cancel();
    });

    const reason = await cancelled.promise;

    expect(reason).toMatchObject({ code: Code.Canceled });
    await expect.poll(() => seen).toEqual(["message", "Canceled"]);
  });

  test("runs the handler's clean-up when the client cancels", async () => {
    const cleanedUp = Promise.withResolvers<void>();
    await using server = await startEchoGrpc({
      async *batchLookup() {
        try {
          for (;;) {
            yield {};
          }
        } finally {
          cleanedUp.resolve();
        }
      },
    });
    using client = new EchoClient(server.address);
    const stream = client.open(batchLookup, {});

    stream.once("data", () => {
      stream.cancel();
    });

    await expect(cleanedUp.promise).resolves.toBeUndefined();
  });

  test("stops asking the handler while the client does not read, and goes on when it does", async () => {
    const chunkBytes = 32 * 1024;
    const chunks = 400;
    let yielded = 0;
    await using server = await startEchoGrpc({
      async *export() {
        for (; yielded < chunks; yielded++) {
          yield { part: { case: "data" as const, value: new Uint8Array(chunkBytes) } };
        }
      },
      lookup: () => ({}),
    });
    using client = new EchoHttp2(server.address);
    using other = new EchoClient(server.address);
    const stream = client.open("/vehicle.v1.VehicleService/Export");
    stream.end(frame());
    for (let call = 0; call < 50; call++) {
      await other.unary(VehicleService.method.lookup, {});
    }

    const whileStalled = yielded;
    let receivedBytes = 0;
    stream.on("data", (data: Buffer) => (receivedBytes += data.byteLength));
    const [trailers] = await once(stream, "trailers");

    // The client's window and what may wait in the server: 64 KiB each.
    expect(whileStalled * chunkBytes).toBeGreaterThan(0);
    expect(whileStalled * chunkBytes).toBeLessThanOrEqual(128 * 1024);
    expect(trailers).toMatchObject({ "grpc-status": "0" });
    expect(receivedBytes).toBeGreaterThan(chunks * chunkBytes);
  });

  test("slows down one stream without slowing others on the same connection", async () => {
    await using server = await startEchoGrpc({
      async *export() {
        for (;;) {
          yield { part: { case: "data" as const, value: new Uint8Array(32 * 1024) } };
        }
      },
      lookup: () => ({ make: "M" }),
    });
    using client = new EchoClient(server.address);
    const stalled = client.open(exportMethod, {});
    await new Promise((resolve) => {
      stalled.once("metadata", resolve);
    });

    const seen = await client.unary(VehicleService.method.lookup, {});

    stalled.cancel();
    expect(seen.messages).toMatchObject([{ make: "M" }]);
  });
});
