import { Code, ConnectError, createContextValues, createServiceImplSpec } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { callerKey } from "../../src/rpc/caller.ts";
import { createInterceptors } from "../../src/rpc/interceptors.ts";
import { startGrpcServer } from "../../src/server/grpc/grpc-server.ts";
import { startHttpServer } from "../../src/server/http/http-server.ts";
import type { Peer } from "../../src/server/peer.ts";
import type { Addresses } from "../support/clients.ts";
import { TRANSPORTS, clientOf } from "../support/clients.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { bearer, someTokens, TOKENS_NOW } from "../support/some-tokens.ts";
import { StubVehicleService } from "../support/stub-vehicle-service.ts";

const VIN = "1XPWD40X1ED215307";

const METHOD_NAMES = ["lookup", "batchLookup", "remove", "export"] as const;

type MethodName = (typeof METHOD_NAMES)[number];
type TokenName = (typeof TOKEN_NAMES)[number];
type Outcome = "ok" | "TOKEN_MISSING" | "TOKEN_UNKNOWN" | "SCOPE_MISSING";

const TOKEN_NAMES = ["none", "unknown", "expired", "lookup", "remove", "export", "all"] as const;
const protocols = ["grpc", "grpc-web", "connect"] as const;

/** The promise in full, written down apart from the code that keeps it. */
const expected: Readonly<Record<MethodName, Readonly<Record<TokenName, Outcome>>>> = {
  lookup: outcomes({ lookup: "ok", all: "ok" }),
  batchLookup: outcomes({ lookup: "ok", all: "ok" }),
  remove: outcomes({ remove: "ok", all: "ok" }),
  export: outcomes({ export: "ok", all: "ok" }),
};

function outcomes(allowed: Partial<Record<TokenName, Outcome>>): Record<TokenName, Outcome> {
  return {
    none: "TOKEN_MISSING",
    unknown: "TOKEN_UNKNOWN",
    expired: "TOKEN_UNKNOWN",
    lookup: "SCOPE_MISSING",
    remove: "SCOPE_MISSING",
    export: "SCOPE_MISSING",
    all: "SCOPE_MISSING",
    ...allowed,
  };
}

const CODES: Readonly<Record<Exclude<Outcome, "ok">, Code>> = {
  TOKEN_MISSING: Code.Unauthenticated,
  TOKEN_UNKNOWN: Code.Unauthenticated,
  SCOPE_MISSING: Code.PermissionDenied,
};

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

async function call(protocol: (typeof protocols)[number], method: MethodName, token: TokenName): Promise<void> {
  const client = clientOf(addresses, protocol);
  const options = { headers: token === "none" ? {} : bearer(token) };
  switch (method) {
    case "lookup":
      await client.lookup({ vin: VIN }, options);
      break;
    case "batchLookup":
      await Array.fromAsync(client.batchLookup({ vins: [VIN] }, options));
      break;
    case "remove":
      await client.remove({ vin: VIN }, options);
      break;
    case "export":
      await Array.fromAsync(client.export({}, options));
      break;
  }
}

async function outcomeOf(run: Promise<void>): Promise<unknown> {
  try {
    await run;
    return { reason: "ok" };
  } catch (error) {
    const told = ConnectError.from(error);
    return { reason: told.findDetails(ErrorInfoSchema)[0]?.reason, code: told.code };
  }
}

const matrix = METHOD_NAMES.flatMap((localName) =>
  protocols.flatMap((protocol) =>
    TOKEN_NAMES.map((token) => ({ localName, protocol, token, outcome: expected[localName][token] })),
  ),
);

describe("every RPC over every protocol with every kind of token", () => {
  test("is in the matrix", () => {
    expect(matrix).toHaveLength(VehicleService.methods.length * Object.keys(TRANSPORTS).length * 7);
  });

  test.each(matrix)(
    "$localName over $protocol with token $token: $outcome",
    async ({ localName, protocol, token, outcome }) => {
      const callsBefore = service.calls.length;

      const actual = await outcomeOf(call(protocol, localName, token));

      expect(actual).toEqual(outcome === "ok" ? { reason: "ok" } : { reason: outcome, code: CODES[outcome] });
      expect(service.calls.length - callsBefore).toBe(outcome === "ok" ? 1 : 0);
    },
  );
});

test.each(protocols)("the audit tells that the reader of an export over %s has left", async (protocol) => {
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
});
