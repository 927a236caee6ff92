import { createContextValues, createServiceImplSpec } from "@connectrpc/connect";
import { constants } from "node:http2";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { callerKey } from "../../src/rpc/caller.ts";
import { createInterceptors } from "../../src/rpc/interceptors.ts";
import { startGrpcServer } from "../../src/server/grpc/grpc-server.ts";
import { startHttpServer } from "../../src/server/http/http-server.ts";
import type { Peer } from "../../src/server/peer.ts";
import type { Addresses } from "../support/clients.ts";
import { clientOf } from "../support/clients.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { bearer, someTokens, TOKENS_NOW } from "../support/some-tokens.ts";
import { StubVehicleService } from "../support/stub-vehicle-service.ts";

const service = new StubVehicleService();
const logger = new MemoryLogger();
const running = new AsyncDisposableStack();
let addresses: Addresses;

const STALL_MS = 300;

beforeAll(async () => {
  const limiter = new RateLimiter({ perSecond: 1_000, burst: 10_000 });
  const guard = new AccessGuard({ tokens: someTokens, limiter, strangers: limiter, now: () => TOKENS_NOW });
  const mount = {
    host: "127.0.0.1",
    port: 0,
    services: [createServiceImplSpec<typeof VehicleService>(VehicleService, service.handlers)],
    interceptors: createInterceptors({ guard, logger }),
    contextValues: ({ address }: Peer) => createContextValues().set(callerKey, address),
    logger,
    limits: { defaults: { stallTimeoutMs: STALL_MS } },
  };
  const grpc = running.use(await startGrpcServer(mount));
  const http = running.use(await startHttpServer({ ...mount, handlers: {} }));
  addresses = { grpcAddress: grpc.address, httpAddress: http.address };
});

afterAll(() => running.disposeAsync());

beforeEach(() => {
  logger.lines.length = 0;
  service.exportsHang = false;
  service.exportsGoOn = false;
});

/** What the log says of the ends of exports: audit, the call's own line, and whatever is an error. */
function ends(): unknown[] {
  const wanted = new Set(["audit", "call ended"]);
  return logger.lines
    .filter(({ level, message }) => level === "error" || wanted.has(message))
    .map(({ message, fields: { code } }) => `${message} ${String(code)}`)
    .toSorted();
}

test.each(["grpc", "grpc-web", "connect"] as const)(
  "the audit tells that the reader of an export over %s has left",
  async (protocol) => {
    service.exportsHang = true;
    const left = new AbortController();
    const answer = clientOf(addresses, protocol).export({}, { headers: bearer("all"), signal: left.signal });

    await answer[Symbol.asyncIterator]().next();
    left.abort();

    await vi.waitFor(() =>
      expect(logger.lines.filter(({ message }) => message === "audit")).toMatchObject([
        { fields: { action: "Export", caller: "all", code: "Canceled" } },
      ]),
    );
  },
);

test.each([
  ["leaves", "Canceled"],
  ["stays and reads nothing", "Aborted"],
])(
  "the audit of an export says so when a reader for whom much waits %s, and nothing is an error",
  async (how, code) => {
    service.exportsGoOn = true;
    using client = new EchoHttp2(addresses.grpcAddress);
    const stream = client.open("/vehicle.v1.VehicleService/Export", bearer("all"));
    stream.end(frame());
    // The rest of the first window stays with the client, unread, and everything else with the service.
    await vi.waitFor(() => expect(stream.readableLength).toBeGreaterThan(0));

    if (how === "leaves") {
      stream.close(constants.NGHTTP2_CANCEL);
    }

    await vi.waitFor(() => expect(ends()).toEqual([`audit ${code}`, `call ended ${code}`]), 10 * STALL_MS);
  },
);
