import {
  createClient,
  Code,
  ConnectError,
  createContextKey,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { Metadata, status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";

import { BadRequestSchema, ErrorInfoSchema, RequestInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { EchoClient } from "../../support/echo-client.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { startEchoGrpc } from "../../support/echo-server.ts";

const { lookup } = VehicleService.method;

const refuse: Interceptor = () => () => Promise.reject(new ConnectError("no token", Code.Unauthenticated));

function base64Of(metadata: Metadata): string {
  const [bytes = ""] = metadata.get("grpc-status-details-bin");
  return Buffer.from(bytes).toString("base64");
}

describe("a unary method mounted on grpc-js", () => {
  test("answers with the handler's message", async () => {
    await using server = await startEchoGrpc({ lookup: (request) => ({ vin: request.vin, make: "PETERBILT" }) });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, { vin: "1XPWD40X1ED215307" });

    expect(seen.status.code).toBe(status.OK);
    expect(seen.messages).toMatchObject([{ vin: "1XPWD40X1ED215307", make: "PETERBILT" }]);
  });

  test("gives an empty request as an empty message", async () => {
    await using server = await startEchoGrpc({ lookup: async (request) => ({ make: `<${request.vin}>` }) });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.messages).toMatchObject([{ make: "<>" }]);
  });

  test("says UNIMPLEMENTED when there is no handler", async () => {
    await using server = await startEchoGrpc({});
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.status.code).toBe(status.UNIMPLEMENTED);
  });

  test("passes code, message and google.rpc details of a ConnectError on", async () => {
    await using server = await startEchoGrpc({
      lookup: () => {
        const value = { fieldViolations: [{ field: "vin", description: "too short" }] };
        throw new ConnectError("vin: too short – 100%", Code.InvalidArgument, { "x-hint": "17" }, [
          { desc: BadRequestSchema, value },
        ]);
      },
    });
    const client = createClient(VehicleService, createGrpcTransport({ baseUrl: `http://${server.address}` }));

    const error = ConnectError.from(await client.lookup({}).catch((reason: unknown) => reason));

    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toBe("vin: too short – 100%");
    expect(error.findDetails(BadRequestSchema)).toMatchObject([{ fieldViolations: [{ field: "vin" }] }]);
    expect(error.metadata.get("x-hint")).toBe("17");
  });

  test("sends a message with a broken surrogate pair instead of failing on it", async () => {
    await using server = await startEchoGrpc({
      lookup: () => {
        throw new ConnectError(`character ${"💥".slice(0, 1)}`, Code.InvalidArgument);
      },
    });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.status).toMatchObject({ code: status.INVALID_ARGUMENT, details: "character \uFFFD" });
  });

  test("tells the caller nothing of any other error, and logs it", async () => {
    const log = new MemoryLogger();
    const cause = new Error("SELECT secret FROM /etc/passwd");
    await using server = await startEchoGrpc({ lookup: async () => await Promise.reject(cause) }, { log });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.status).toMatchObject({ code: status.INTERNAL, details: expect.stringContaining("request id") });
    expect(JSON.stringify(seen.status.metadata.getMap())).not.toContain("secret");
    expect(log.lines).toMatchObject([
      { level: "error", fields: { procedure: "vehicle.v1.VehicleService/Lookup", err: cause } },
    ]);
  });

  test("hands the client's metadata to the handler as headers, binary values as base64", async () => {
    let header = new Headers();
    await using server = await startEchoGrpc({
      lookup: (_request, context) => {
        header = context.requestHeader;
        return {};
      },
    });
    using client = new EchoClient(server.address);
    const metadata = new Metadata();
    metadata.add("x-many", "one");
    metadata.add("x-many", "two");
    metadata.set("x-bytes-bin", Buffer.from([0, 255, 7]));

    await client.unary(lookup, {}, { metadata });

    expect(header.get("x-many")).toBe("one, two");
    expect(Buffer.from(header.get("x-bytes-bin") ?? "", "base64")).toEqual(Buffer.from([0, 255, 7]));
  });

  test("sends the handler's headers and trailers, binary ones too", async () => {
    await using server = await startEchoGrpc({
      lookup: (_request, context) => {
        context.responseHeader.set("x-header", "h");
        context.responseHeader.set("x-header-bin", Buffer.from([1, 254]).toString("base64"));
        context.responseTrailer.set("x-trailer", "t");
        context.responseTrailer.set("x-trailer-bin", Buffer.from([2, 253]).toString("base64"));
        return {};
      },
    });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.header.getMap()).toMatchObject({ "x-header": "h", "x-header-bin": Buffer.from([1, 254]) });
    expect(seen.status.metadata.getMap()).toMatchObject({ "x-trailer": "t", "x-trailer-bin": Buffer.from([2, 253]) });
  });

  test("sends headers and trailers of a call that fails", async () => {
    await using server = await startEchoGrpc({
      lookup: (_request, context) => {
        context.responseHeader.set("x-header", "h");
        context.responseTrailer.set("x-trailer", "t");
        throw new ConnectError("not here", Code.NotFound);
      },
    });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.header.get("x-header")).toEqual(["h"]);
    expect(seen.status.code).toBe(status.NOT_FOUND);
    expect(seen.status.metadata.get("x-trailer")).toEqual(["t"]);
  });

  test("leaves out headers that would break the response", async () => {
    await using server = await startEchoGrpc({
      lookup: (_request, context) => {
        context.responseHeader.set("content-type", "text/html");
        context.responseHeader.set("connection", "close");
        context.responseHeader.set("grpc-encoding", "br");
        context.responseHeader.set("x-latin", "é");
        context.responseHeader.set("x!", "not a key of gRPC");
        context.responseTrailer.set("grpc-status", "5");
        return { make: "M" };
      },
    });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.status.code).toBe(status.OK);
    expect(seen.messages).toMatchObject([{ make: "M" }]);
  });

  test("answers malformed bytes with INVALID_ARGUMENT", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {}, { bytes: Buffer.from([0x0a, 0x20, 0x41]) });

    expect(seen.status).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: "the request is not a valid vehicle.v1.LookupRequest",
    });
  });

  test("tells what the mount itself refuses with a reason and the request's id", async () => {
    await using server = await startEchoGrpc(
      { lookup: async () => await new Promise(() => {}) },
      {
        limits: {
          defaults: { defaultTimeoutMs: 50 },
          // Up to the longest request of any method, messages get as far as the mount.
          methods: { "vehicle.v1.VehicleService/BatchLookup": { maxRequestBytes: 10_000 } },
        },
      },
    );
    using client = new EchoClient(server.address);
    const metadata = new Metadata();
    metadata.set("x-request-id", "mine");

    const malformed = await client.unary(lookup, {}, { metadata, bytes: Buffer.from([0x0a, 0x20, 0x41]) });
    const tooLong = await client.unary(lookup, { vin: "A".repeat(5000) }, { metadata });
    const late = await client.unary(lookup, {}, { metadata });

    const seen = [malformed, tooLong, late].map(({ status: { metadata } }) => {
      const error = findTrailerError(new Headers({ "grpc-status-details-bin": base64Of(metadata) }));
      return {
        id: metadata.get("x-request-id"),
        reasons: error?.findDetails(ErrorInfoSchema).map(({ reason, domain }) => `${domain} ${reason}`),
        requests: error?.findDetails(RequestInfoSchema).map(({ requestId }) => requestId),
      };
    });
    expect(seen).toEqual(
      ["MALFORMED_REQUEST", "MESSAGE_TOO_LARGE", "DEADLINE_EXCEEDED"].map((reason) => ({
        id: ["mine"],
        reasons: [`vehicle.v1 ${reason}`],
        requests: ["mine"],
      })),
    );
  });

  test("takes a request as long as its method allows, and answers RESOURCE_EXHAUSTED to one byte more", async () => {
    const limits = { methods: { "vehicle.v1.VehicleService/Lookup": { maxRequestBytes: 1000 } } };
    await using server = await startEchoGrpc({ lookup: ({ vin }) => ({ make: String(vin.length) }) }, { limits });
    using client = new EchoClient(server.address);
    // Tag and length take 3 bytes.
    const longest = await client.unary(lookup, { vin: "A".repeat(997) });

    const tooLong = await client.unary(lookup, { vin: "A".repeat(998) });

    expect(longest.messages).toMatchObject([{ make: "997" }]);
    expect(tooLong.status.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test("answers RESOURCE_EXHAUSTED instead of a response that is too long", async () => {
    const limits = { defaults: { maxResponseBytes: 100 } };
    await using server = await startEchoGrpc({ lookup: () => ({ make: "M".repeat(200) }) }, { limits });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.status.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(seen.messages).toEqual([]);
  });

  test("takes gzipped requests, and answers clients that accept gzip", async () => {
    await using server = await startEchoGrpc({ lookup: (request) => ({ make: request.vin }) });
    using client = new EchoClient(server.address, { "grpc.default_compression_algorithm": 2 });

    const seen = await client.unary(lookup, { vin: "A".repeat(2000) });

    expect(seen.messages).toMatchObject([{ make: "A".repeat(2000) }]);
  });

  test("counts a gzipped request by what it unpacks to", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) });
    using client = new EchoClient(server.address, { "grpc.default_compression_algorithm": 2 });

    const seen = await client.unary(lookup, { vin: "A".repeat(5000) });

    expect(seen.status.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test("runs interceptors in order around the handler, and lets them see and change what passes", async () => {
    const steps: string[] = [];
    const named =
      (name: string): Interceptor =>
      (next) =>
      async (request) => {
        steps.push(`${name} before`);
        request.header.append("x-path", name);
        const response = await next(request);
        response.trailer.append("x-path", name);
        steps.push(`${name} after`);
        return response;
      };
    await using server = await startEchoGrpc(
      {
        lookup: (_request, context) => {
          steps.push("handler");
          return { make: context.requestHeader.get("x-path") ?? "" };
        },
      },
      { interceptors: [named("outer"), named("inner")] },
    );
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(steps).toEqual(["outer before", "inner before", "handler", "inner after", "outer after"]);
    expect(seen.messages).toMatchObject([{ make: "outer, inner" }]);
    expect(seen.status.metadata.get("x-path")).toEqual(["inner, outer"]);
  });

  test("gives interceptors what Connect gives them", async () => {
    let seenRequest: object = {};
    const look: Interceptor = (next) => async (request) => {
      seenRequest = { ...request };
      return await next({ ...request });
    };
    await using server = await startEchoGrpc({ lookup: () => ({}) }, { interceptors: [look] });
    using client = new EchoClient(server.address);

    await client.unary(lookup, { vin: "V" });

    expect(seenRequest).toMatchObject({
      stream: false,
      service: VehicleService,
      method: lookup,
      requestMethod: "POST",
      url: `http://${server.address}/vehicle.v1.VehicleService/Lookup`,
      message: { vin: "V" },
    });
  });

  test("lets an interceptor answer in the handler's place", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) }, { interceptors: [refuse] });
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.status).toMatchObject({ code: status.UNAUTHENTICATED, details: "no token" });
  });

  test("starts a call with context values that know the peer", async () => {
    const peerAddress = createContextKey("");
    await using server = await startEchoGrpc(
      { lookup: (_request, context) => ({ make: context.values.get(peerAddress) }) },
      { contextValues: (peer) => createContextValues().set(peerAddress, peer.address) },
    );
    using client = new EchoClient(server.address);

    const seen = await client.unary(lookup, {});

    expect(seen.messages).toMatchObject([{ make: "127.0.0.1" }]);
  });
});
