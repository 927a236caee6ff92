import { execFile } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Stream, constants } from "node:http2";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";

import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type DescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";

import { Health, HealthCheckResponse_ServingStatus as Serving } from "#gen/health/v1/health_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { ListenError } from "../../../src/server/listen.ts";
import { EchoClient } from "../../support/echo-client.ts";
import { EchoHttp2, frame } from "../../support/echo-http2.ts";
import { startEchoGrpc } from "../../support/echo-server.ts";

const { check, watch, list } = Health.method;
const { lookup } = VehicleService.method;
const lookupPath = "/vehicle.v1.VehicleService/Lookup";

/** What buf prints, with the schema taken from the server's reflection. */
async function bufCurl(address: string, ...args: string[]): Promise<string> {
  const [path = "", ...options] = args.toReversed();
  const { stdout } = await promisify(execFile)("node_modules/.bin/buf", [
    "curl",
    "--protocol",
    "grpc",
    "--http2-prior-knowledge",
    ...options.toReversed(),
    `http://${address}${path}`,
  ]);
  return stdout;
}

function portOf(address: string): number {
  return Number(address.split(":")[1]);
}

async function closed(stream: ClientHttp2Stream): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.once("close", resolve);
  });
}

describe("health", () => {
  test("is SERVING for the server and each of its services, and NOT_FOUND for others", async () => {
    await using server = await startEchoGrpc({});
    using client = new EchoClient(server.address);

    const all = await client.unary(check, {});
    const one = await client.unary(check, { service: "vehicle.v1.VehicleService" });
    const other = await client.unary(check, { service: "other" });

    expect(all.messages).toMatchObject([{ status: Serving.SERVING }]);
    expect(one.messages).toMatchObject([{ status: Serving.SERVING }]);
    expect(other.status.code).toBe(status.NOT_FOUND);
  });

  test("lists its services", async () => {
    await using server = await startEchoGrpc({});
    using client = new EchoClient(server.address);

    const seen = await client.unary(list, {});

    expect(Object.keys(seen.messages[0]?.statuses ?? {})).toEqual(["", "vehicle.v1.VehicleService"]);
  });

  test("tells watchers that the server shuts down, and does not wait for them", async () => {
    await using server = await startEchoGrpc({});
    using client = new EchoClient(server.address);
    const watching = client.open(watch, {});
    const statuses: number[] = [];
    watching.on("data", (message: { status: number }) => statuses.push(message.status));
    await once(watching, "data");

    const startedAt = Date.now();
    await server.drain(10_000);

    expect(Date.now() - startedAt).toBeLessThan(5000);
    expect(statuses).toEqual([Serving.SERVING, Serving.NOT_SERVING]);
  });

  test("tells watchers of a service that it does not know", async () => {
    await using server = await startEchoGrpc({});
    using client = new EchoClient(server.address);
    const watching = client.open(watch, { service: "other" });

    const [message] = await once(watching, "data");

    watching.cancel();
    expect(message).toMatchObject({ status: Serving.SERVICE_UNKNOWN });
  });
});

describe("reflection", () => {
  test("lists every service, itself included", async () => {
    await using server = await startEchoGrpc({});

    const listed = await bufCurl(server.address, "--list-services", "");

    expect(listed.trim().split("\n")).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "vehicle.v1.VehicleService",
    ]);
  });

  test.each([
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "vehicle.v1.VehicleService",
  ])("describes %s as its .proto does", async (symbol) => {
    await using server = await startEchoGrpc({});

    const reflected = await bufCurl(
      server.address,
      "-d",
      JSON.stringify({ fileContainingSymbol: symbol }),
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    );

    const { fileDescriptorResponse } = JSON.parse(reflected);
    const files = fileDescriptorResponse.fileDescriptorProto.map((base64: string) =>
      fromBinary(FileDescriptorProtoSchema, Buffer.from(base64, "base64")),
    );
    // Strict about names, and about what is missing.
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: files.toReversed() }));
    expect(registry.getService(symbol)?.methods.length).toBeGreaterThan(0);
    expect(files[0]).toMatchObject({
      syntax: "proto3",
      name: expect.stringMatching(/^[a-z_0-9]+(\/[a-z_0-9]+)+\.proto$/),
    });
    expect(
      files[0].messageType.flatMap((type: DescriptorProto) => type.field.map((field) => field.name)),
    ).not.toContainEqual(expect.stringMatching(/[A-Z]/));
  });

  for (const version of ["v1", "v1alpha"]) {
    test(`of version ${version} is enough for buf curl to call every service`, async () => {
      await using server = await startEchoGrpc({ lookup: ({ vin }) => ({ vin, decodeTime: { seconds: 1n } }) });
      const reflect = ["--reflect-protocol", `grpc-${version}`];

      const looked = await bufCurl(server.address, ...reflect, "-d", '{"vin":"V"}', lookupPath);
      const checked = await bufCurl(server.address, ...reflect, "-d", "{}", "/grpc.health.v1.Health/Check");
      const reflected = await bufCurl(
        server.address,
        ...reflect,
        "-d",
        '{"fileByFilename":"google/protobuf/timestamp.proto"}',
        `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      );

      expect(JSON.parse(looked)).toEqual({ vin: "V", decodeTime: "1970-01-01T00:00:01Z" });
      expect(JSON.parse(checked)).toEqual({ status: "SERVING" });
      expect(JSON.parse(reflected)).toHaveProperty("fileDescriptorResponse");
    });
  }
});

describe("draining the gRPC listener", () => {
  test("lets running calls finish, and takes no more connections", async () => {
    const arrived = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    await using server = await startEchoGrpc({
      lookup: async () => {
        arrived.resolve();
        await finish.promise;
        return { make: "M" };
      },
    });
    using client = new EchoClient(server.address);
    using late = new EchoClient(server.address);
    const running = client.unary(lookup, {});
    await arrived.promise;

    const drained = server.drain(10_000);
    const refused = await late.unary(lookup, {});
    finish.resolve();

    expect(refused.status.code).toBe(status.UNAVAILABLE);
    expect((await running).messages).toMatchObject([{ make: "M" }]);
    await expect(drained).resolves.toBeUndefined();
  });

  test("cuts what still runs at the end of the grace period", async () => {
    const arrived = Promise.withResolvers<AbortSignal>();
    await using server = await startEchoGrpc({
      lookup: async (_request, context) => {
        arrived.resolve(context.signal);
        return await new Promise(() => {});
      },
    });
    using client = new EchoClient(server.address);
    const running = client.unary(lookup, {});
    const signal = await arrived.promise;

    await server.drain(100);

    expect((await running).status.code).not.toBe(status.OK);
    await expect.poll(() => signal.aborted).toBe(true);
  });

  test("does not wait for connections that have said nothing", async () => {
    await using server = await startEchoGrpc({});
    const silent = connect(portOf(server.address), "127.0.0.1");
    await once(silent, "connect");

    const startedAt = Date.now();
    await server.drain(10_000);

    expect(Date.now() - startedAt).toBeLessThan(1000);
  });
});

describe("the gRPC listener", () => {
  test("says in one line that its port is in use", async () => {
    await using server = await startEchoGrpc({});
    const port = portOf(server.address);

    const error: unknown = await startEchoGrpc({}, { port }).catch((reason: unknown) => reason);

    expect(error).toBeInstanceOf(ListenError);
    expect(error).toMatchObject({ message: `gRPC: cannot listen on 127.0.0.1:${port}: the port is in use` });
  });

  for (const [what, bytes] of [
    ["says nothing", ""],
    ["stops in the middle of its preface", "PRI * HTTP/2.0\r\n"],
  ] as const) {
    test(`closes a connection that ${what}`, async () => {
      await using server = await startEchoGrpc({}, { prefaceTimeoutMs: 200 });
      const startedAt = Date.now();
      const socket = connect(portOf(server.address), "127.0.0.1");
      socket.on("error", () => {});
      socket.write(bytes);

      await once(socket, "close");

      expect(Date.now() - startedAt).toBeGreaterThan(150);
      expect(Date.now() - startedAt).toBeLessThan(600);
    });
  }

  test("takes a preface that comes in pieces", async () => {
    await using server = await startEchoGrpc({});
    const socket = connect({ port: portOf(server.address), host: "127.0.0.1", noDelay: true });
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    for (const byte of Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings])) {
      socket.write(Buffer.from([byte]));
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }

    const [answer] = await once(socket, "data");

    socket.destroy();
    // The type of a SETTINGS frame.
    expect(answer[3]).toBe(4);
  });

  test("tells a client of HTTP/1.1 that it is at the wrong port", async () => {
    await using server = await startEchoGrpc({});
    const socket = connect(portOf(server.address), "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");

    const answer = await buffer(socket);

    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 [^]*\r\nx-request-id: [\da-f-]{36}\r\n[^]*speaks gRPC/);
  });

  test("takes no more connections from an address than allowed, and more when some have closed", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) }, { connections: { maxOpenPerAddress: 2 } });
    const first = connect(portOf(server.address), "127.0.0.1");
    await once(first, "connect");
    const second = connect(portOf(server.address), "127.0.0.1");
    await once(second, "connect");
    const third = connect(portOf(server.address), "127.0.0.1");
    third.on("error", () => {});
    await once(third, "close");

    first.destroy();
    second.destroy();

    using client = new EchoClient(server.address);
    await expect.poll(async () => (await client.unary(lookup, {})).status.code).toBe(status.OK);
  });

  test("ends a call whose request does not arrive", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) }, { arrivalTimeoutMs: 100 });
    using client = new EchoHttp2(server.address);
    const stream = client.open(lookupPath);
    stream.write(Buffer.from([0, 0]));

    const [headers] = await once(stream, "response");

    expect(headers).toMatchObject({ "grpc-status": String(status.DEADLINE_EXCEEDED) });
  });

  test("resets a stream whose client reads no more, and cleans up after the handler", async () => {
    const cleanedUp = Promise.withResolvers<void>();
    const limits = { defaults: { stallTimeoutMs: 200 } };
    await using server = await startEchoGrpc(
      {
        async *export() {
          try {
            for (;;) {
              yield { part: { case: "data" as const, value: new Uint8Array(32 * 1024) } };
            }
          } finally {
            cleanedUp.resolve();
          }
        },
      },
      { limits },
    );
    using client = new EchoHttp2(server.address);
    const stream = client.open("/vehicle.v1.VehicleService/Export");
    stream.end(frame());
    const startedAt = Date.now();

    await cleanedUp.promise;
    await closed(stream);

    expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
    expect(Date.now() - startedAt).toBeGreaterThan(150);
    expect(Date.now() - startedAt).toBeLessThan(1000);
  });

  test("allows 100 streams on a connection", async () => {
    await using server = await startEchoGrpc({});
    using client = new EchoHttp2(server.address);

    const [settings] = await once(client.session, "remoteSettings");

    expect(settings).toMatchObject({ maxConcurrentStreams: 100 });
  });

  for (const authority of ["a b", "[", "%", "a:b:c", "<>", "", "\u00ff", "a@b", "#"]) {
    test(`serves whatever the authority ${JSON.stringify(authority)} is`, async () => {
      await using server = await startEchoGrpc({ lookup: () => ({}) });
      using client = new EchoHttp2(server.address);
      using honest = new EchoClient(server.address);
      const stream = client.open(lookupPath, { ":authority": authority });
      stream.end(frame());
      stream.resume();
      await closed(stream);

      const seen = await honest.unary(lookup, {});

      expect(seen.status.code).toBe(status.OK);
    });
  }

  test("claims of 4 GiB are RESOURCE_EXHAUSTED", async () => {
    await using server = await startEchoGrpc({ lookup: () => ({}) });
    using client = new EchoHttp2(server.address);
    const stream = client.open(lookupPath);
    stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]));

    const [headers] = await once(stream, "response");

    expect(headers).toMatchObject({ "grpc-status": String(status.RESOURCE_EXHAUSTED) });
  });
});
