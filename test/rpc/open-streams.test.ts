import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import { createServiceImplSpec } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "vitest";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { Health } from "#gen/health/v1/health_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { createHealthService } from "../../src/rpc/health.ts";
import { createGate, createInterceptors } from "../../src/rpc/interceptors.ts";
import { servedMethods } from "../../src/rpc/methods.ts";
import { createReflectionHandlers } from "../../src/rpc/reflection.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { bearer, someTokens, TOKENS_NOW } from "../support/some-tokens.ts";
import type { TestServer } from "../support/test-server.ts";
import { startTestServer } from "../support/test-server.ts";

const MAX_OPEN = 64;
const WATCH = "/grpc.health.v1.Health/Watch";
const CHECK = "/grpc.health.v1.Health/Check";
const REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** A ServerReflectionRequest for the list of services. */
const LIST = frame(Buffer.from([0x3a, 0]));

let running = new AsyncDisposableStack();

afterEach(async () => {
  await running.disposeAsync();
  running = new AsyncDisposableStack();
});

async function start(tokens: typeof someTokens | undefined): Promise<{ server: TestServer; client: EchoHttp2 }> {
  const logger = new MemoryLogger();
  const limiter = new RateLimiter({ perSecond: 1_000, burst: 1_000 });
  const guard = new AccessGuard({ tokens, limiter, anonymous: limiter, now: () => TOKENS_NOW });
  const health = createHealthService([]);
  const reflection = createReflectionHandlers([Health]);
  const methods = servedMethods([
    createServiceImplSpec<typeof Health>(Health, health.handlers),
    createServiceImplSpec<typeof ServerReflection>(ServerReflection, reflection.v1),
  ]);
  const interceptors = createInterceptors({ guard, logger });
  // Streams that wait take no slot.
  const server = running.use(
    await startTestServer(methods, { interceptors, gate: createGate({ guard, logger }), maxCalls: 1 }),
  );
  return { server, client: running.use(new EchoHttp2(server.address)) };
}

/** Opens a stream and waits for its first message. */
async function open(client: EchoHttp2, path: string, headers = {}): Promise<ClientHttp2Stream> {
  const stream = client.open(path, headers);
  stream.write(path === WATCH ? frame() : LIST);
  if (path === WATCH) {
    stream.end();
  }
  await once(stream, "data");
  return stream;
}

describe.each([
  ["health's Watch", WATCH, someTokens],
  ["health's Watch of a service without tokens", WATCH, undefined],
  ["reflection of a service without tokens", REFLECT, undefined],
])("streams of %s", (_what, path, tokens) => {
  test("are limited to 64 for callers without a token, and one more may open when one ends", async () => {
    const { server, client } = await start(tokens);
    const streams: ClientHttp2Stream[] = [];
    for (let count = 0; count < MAX_OPEN; count++) {
      streams.push(await open(client, path));
    }

    const refused = await client.call(path, path === WATCH ? frame() : LIST);
    streams[0]?.close();
    await server.whenEnded(2);
    const again = await open(client, path);

    expect(refused.status).toBe(status.RESOURCE_EXHAUSTED);
    expect(again.closed).toBe(false);
  });
});

test("streams of callers with a token are not counted or limited", async () => {
  const { client } = await start(someTokens);
  for (let count = 0; count < MAX_OPEN; count++) {
    await open(client, WATCH);
  }

  const streams = [];
  for (let count = 0; count < 10; count++) {
    streams.push(await open(client, count % 2 === 0 ? WATCH : REFLECT, bearer("lookup")));
  }

  expect(streams.map(({ closed }) => closed)).toEqual(streams.map(() => false));
});

test("waiting streams take no slots from calls", async () => {
  const { server, client } = await start(undefined);
  await open(client, WATCH);
  await open(client, REFLECT);

  const answer = await client.call(CHECK, frame());

  expect(answer.status).toBe(status.OK);
  expect(server.server.calls.inFlight).toBe(0);
});

test("health needs no token, and reflection needs any valid one", async () => {
  const { client } = await start(someTokens);

  const statuses = [
    (await client.call(CHECK, frame())).status,
    (await client.call("/grpc.health.v1.Health/List", frame())).status,
    (await client.call(REFLECT, LIST)).status,
    (await client.call(REFLECT, LIST, bearer("nobody"))).status,
    (await client.call(REFLECT, LIST, bearer("export"))).status,
  ];

  expect(statuses).toEqual([status.OK, status.OK, status.UNAUTHENTICATED, status.UNAUTHENTICATED, status.OK]);
});
