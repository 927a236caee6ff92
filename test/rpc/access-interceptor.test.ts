import type { Client } from "@connectrpc/connect";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ErrorInfoSchema, RequestInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { createAccessInterceptor } from "../../src/rpc/access-interceptor.ts";
import { ACCESS_RULES } from "../../src/rpc/access-rules.ts";
import { createInterceptors } from "../../src/rpc/interceptors.ts";
import { errorOf } from "../support/error-of.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { bearer, someTokens, TOKENS_NOW } from "../support/some-tokens.ts";
import { StubVehicleService } from "../support/stub-vehicle-service.ts";

const VIN = "1XPWD40X1ED215307";

interface Harness {
  readonly client: Client<typeof VehicleService>;
  readonly service: StubVehicleService;
  readonly logger: MemoryLogger;
  readonly clock: { now: number };
}

interface SetUp {
  readonly tokens?: typeof someTokens | undefined;
  readonly burst?: number;
}

function setUp({ tokens, burst = 1_000 }: SetUp = { tokens: someTokens }): Harness {
  const service = new StubVehicleService();
  const logger = new MemoryLogger();
  const clock = { now: 1_000 };
  const limiter = new RateLimiter({ perSecond: 10, burst, now: () => clock.now });
  const strangers = new RateLimiter({ perSecond: 10, burst, now: () => clock.now });
  const guard = new AccessGuard({ tokens, limiter, strangers, now: () => TOKENS_NOW });
  const transport = createRouterTransport((router) => router.service(VehicleService, service.handlers), {
    router: { interceptors: createInterceptors({ guard, logger }) },
  });
  return { client: createClient(VehicleService, transport), service, logger, clock };
}

function auditOf({ logger }: Harness): unknown[] {
  return logger.lines.filter(({ message }) => message === "audit").map(({ fields }) => fields);
}

describe("with tokens", () => {
  test.each([
    ["no header", undefined, "TOKEN_MISSING"],
    ["another scheme", "Basic dXNlcjpwYXNz", "TOKEN_MISSING"],
    ["an empty token", "Bearer ", "TOKEN_MISSING"],
    ["two tokens", "Bearer vs_all, Bearer vs_all", "TOKEN_MISSING"],
    ["an unknown token", "Bearer vs_nobody", "TOKEN_UNKNOWN"],
    ["an expired token", "Bearer vs_expired", "TOKEN_UNKNOWN"],
    ["the token's name for its secret", "Bearer all", "TOKEN_UNKNOWN"],
  ])("a call with %s is refused before its handler", async (_case, authorization, reason) => {
    const { client, service } = setUp();
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };

    const error = await errorOf(client.lookup({ vin: VIN }, { headers }));

    expect(error.code).toBe(Code.Unauthenticated);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: "vehicle.v1" }]);
    expect(error.findDetails(RequestInfoSchema)).toHaveLength(1);
    expect(error.metadata.get("www-authenticate")).toBe("Bearer");
    expect(service.calls).toEqual([]);
  });

  test("a call without the scope is told which one is missing", async () => {
    const { client, service } = setUp();

    const error = await errorOf(client.remove({ vin: VIN }, { headers: bearer("lookup") }));

    expect(error.code).toBe(Code.PermissionDenied);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "SCOPE_MISSING", metadata: { scope: "remove" } },
    ]);
    expect(service.calls).toEqual([]);
  });

  test("handlers and logs know the caller by its token's name, and nobody logs the token", async () => {
    const { client, service, logger } = setUp();

    await client.lookup({ vin: VIN }, { headers: { authorization: "bearer vs_lookup" } });

    expect(service.calls).toEqual([{ method: "Lookup", caller: "lookup" }]);
    expect(logger.lines).toMatchObject([{ message: "call ended", fields: { caller: "lookup", code: "ok" } }]);
    expect(JSON.stringify(logger.lines)).not.toContain("vs_");
  });
});

test("without tokens everybody may do everything, known by address", async () => {
  const harness = setUp({ tokens: undefined });
  const { client, service } = harness;

  await client.lookup({ vin: VIN });
  await Array.fromAsync(client.batchLookup({ vins: [VIN] }));
  await client.remove({ vin: VIN });
  await Array.fromAsync(client.export({}));

  expect(service.calls.map(({ method }) => method)).toEqual(["Lookup", "BatchLookup", "Remove", "Export"]);
});

describe("the rate of a caller", () => {
  test("is refused with the time to wait, in a detail and as whole seconds in a header", async () => {
    const { client } = setUp({ tokens: someTokens, burst: 2 });
    await client.lookup({ vin: VIN }, { headers: bearer("all") });
    await client.lookup({ vin: VIN }, { headers: bearer("all") });

    const error = await errorOf(client.lookup({ vin: VIN }, { headers: bearer("all") }));
    const other = await client.lookup({ vin: VIN }, { headers: bearer("lookup") });

    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "RATE_LIMITED" }]);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 0n, nanos: 100_000_000 } }]);
    expect(error.metadata.get("retry-after")).toBe("1");
    expect(other.vin).toBe(VIN);
  });

  test("is charged for each VIN of a batch, even into debt", async () => {
    const { client, clock } = setUp({ tokens: someTokens, burst: 2 });
    const options = { headers: bearer("all") };

    const answers = await Array.fromAsync(client.batchLookup({ vins: Array.from({ length: 52 }, () => VIN) }, options));
    const error = await errorOf(client.lookup({ vin: VIN }, options));
    clock.now += 5_100;
    const later = await client.lookup({ vin: VIN }, options);

    expect(answers).toHaveLength(52);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 5n, nanos: 100_000_000 } }]);
    expect(error.metadata.get("retry-after")).toBe("6");
    expect(later.vin).toBe(VIN);
  });

  test("is charged for the longest batch by one that is longer, though none of its VINs is looked at", async () => {
    const { client } = setUp({ tokens: someTokens, burst: 2 });
    const options = { headers: bearer("all") };

    await Array.fromAsync(client.batchLookup({ vins: Array.from({ length: 9_000 }, () => "") }, options));
    const error = await errorOf(client.lookup({ vin: VIN }, options));

    // Ten a second, of which two were there.
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 499n } }]);
  });
});

describe("the audit", () => {
  test("has a line for every Remove and Export by a known caller, and none for the rest", async () => {
    const harness = setUp();
    const { client } = harness;
    const headers = { ...bearer("all"), "x-request-id": "r-1" };

    await client.remove({ vin: ` ${VIN.toLowerCase()} ` }, { headers });
    await Array.fromAsync(client.export({}, { headers }));
    await errorOf(client.remove({ vin: VIN }, { headers: { ...headers, ...bearer("lookup") } }));
    await client.lookup({ vin: VIN }, { headers });
    await errorOf(client.remove({ vin: VIN }, { headers: bearer("nobody") }));

    expect(auditOf(harness)).toEqual([
      { action: "Remove", caller: "all", vin: VIN, requestId: "r-1", code: "ok" },
      { action: "Export", caller: "all", requestId: "r-1", code: "ok" },
      { action: "Remove", caller: "lookup", vin: VIN, requestId: "r-1", code: "PermissionDenied" },
    ]);
  });

  test("never has a VIN that was not checked", async () => {
    const harness = setUp();

    await errorOf(harness.client.remove({ vin: "x\r\nforged line" }, { headers: bearer("all") }));

    expect(auditOf(harness)).toMatchObject([{ vin: "malformed", code: "InvalidArgument" }]);
    expect(JSON.stringify(harness.logger.lines)).not.toContain("forged");
  });
});

test("a method without a rule cannot be served", () => {
  const { export: _export, ...rules } = ACCESS_RULES;
  const limiter = new RateLimiter({ perSecond: 1, burst: 1 });
  const guard = new AccessGuard({ tokens: undefined, limiter, strangers: limiter });

  expect(() => createAccessInterceptor({ service: VehicleService, rules, guard })).toThrow(
    "vehicle.v1.VehicleService/Export has no rule of access",
  );
});

test("calls without a valid token are charged to their address, and take nothing from those with one", async () => {
  const { client } = setUp({ tokens: someTokens, burst: 2 });
  const call = async (headers: Record<string, string>): Promise<string> => {
    const error = await errorOf(client.lookup({ vin: VIN }, { headers }));
    return String(error.findDetails(ErrorInfoSchema).map(({ reason }) => reason));
  };

  const reasons = [
    await call({}),
    await call({ authorization: "Bearer vs_nobody" }),
    await call({ authorization: "Bearer vs_guess" }),
    await call({}),
  ];
  const { vin } = await client.lookup({ vin: VIN }, { headers: bearer("all") });

  expect(reasons).toEqual(["TOKEN_MISSING", "TOKEN_UNKNOWN", "RATE_LIMITED", "RATE_LIMITED"]);
  expect(vin).toBe(VIN);
});
