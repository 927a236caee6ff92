import { createContextValues, createServiceImplSpec } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
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
import { MemoryLogger } from "../support/memory-logger.ts";
import { bearer, someTokens, TOKENS_NOW } from "../support/some-tokens.ts";
import { StubVehicleService } from "../support/stub-vehicle-service.ts";

const service = new StubVehicleService();
const logger = new MemoryLogger();
const running = new AsyncDisposableStack();
let addresses: Addresses;

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
  };
  const grpc = running.use(await startGrpcServer(mount));
  const http = running.use(await startHttpServer({ ...mount, handlers: {} }));
  addresses = { grpcAddress: grpc.address, httpAddress: http.address };
});

afterAll(() => running.disposeAsync());

test.each(["grpc", "grpc-web", "connect"] as const)(
  "the audit tells that the reader of an export over %s has left",
  async (protocol) => {
    logger.lines.length = 0;
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
