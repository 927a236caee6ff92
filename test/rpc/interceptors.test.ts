import { constants } from "node:http2";
import { Code, createServiceImplSpec } from "@connectrpc/connect";
import { beforeAll, afterAll, describe, expect, test, vi } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { METHOD_RULES, servedMethods } from "../../src/rpc/methods.ts";
import { clientOf } from "../support/clients.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { errorOf } from "../support/error-of.ts";
import type { GuardedStub } from "../support/guarded-stub.ts";
import { startGuardedStub } from "../support/guarded-stub.ts";
import { bearer } from "../support/some-tokens.ts";

const VIN = "1XPWD40X1ED215307";

function auditOf({ logger }: GuardedStub): unknown[] {
  return logger.lines.filter(({ level }) => level === "audit").map(({ fields }) => fields);
}

describe("with tokens", () => {
  let stub: GuardedStub;

  beforeAll(async () => {
    stub = await startGuardedStub();
  });

  afterAll(() => stub[Symbol.asyncDispose]());

  test.each([
    ["no header", undefined, "TOKEN_MISSING"],
    ["another scheme", "Basic dXNlcjpwYXNz", "TOKEN_MISSING"],
    ["an empty token", "Bearer ", "TOKEN_MISSING"],
    ["two tokens", "Bearer vs_all, Bearer vs_all", "TOKEN_MISSING"],
    ["an unknown token", "Bearer vs_nobody", "TOKEN_UNKNOWN"],
    ["an expired token", "Bearer vs_expired", "TOKEN_UNKNOWN"],
    ["the token's name for its secret", "Bearer all", "TOKEN_UNKNOWN"],
  ])("a call with %s is refused before its handler", async (_case, authorization, reason) => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const before = stub.service.calls.length;

    const error = await errorOf(clientOf(stub).lookup({ vin: VIN }, { headers }));

    expect(error.code).toBe(Code.Unauthenticated);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: "vehicle.v1" }]);
    expect(error.metadata.get("www-authenticate")).toBe("Bearer");
    expect(stub.service.calls).toHaveLength(before);
  });

  test("a call without the scope is refused with its name", async () => {
    const before = stub.service.calls.length;

    const error = await errorOf(clientOf(stub).remove({ vin: VIN }, { headers: bearer("lookup") }));

    expect(error.code).toBe(Code.PermissionDenied);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "SCOPE_MISSING", metadata: { scope: "remove" } },
    ]);
    expect(stub.service.calls).toHaveLength(before);
  });

  test("handlers see the token's name as the caller, and the token is not logged", async () => {
    await clientOf(stub).lookup({ vin: VIN }, { headers: { authorization: "bearer vs_lookup" } });

    expect(stub.service.calls.at(-1)).toEqual({ method: "Lookup", caller: "lookup" });
    expect(JSON.stringify(stub.logger.lines)).not.toContain("vs_");
  });
});

test("refused callers are logged with their address and the reason, at once and then as a count", async () => {
  await using stub = await startGuardedStub();

  await errorOf(clientOf(stub).lookup({ vin: VIN }));
  await errorOf(clientOf(stub).lookup({ vin: VIN }));

  expect(stub.logger.lines.filter(({ message }) => message === "refused calls")).toEqual([
    expect.objectContaining({
      level: "warn",
      fields: { address: "127.0.0.1", count: 1, addresses: 1, refusedInAll: 1, reason: "TOKEN_MISSING" },
    }),
  ]);
});

test("without tokens every caller may do everything, identified by address", async () => {
  await using stub = await startGuardedStub({ tokens: undefined });
  const client = clientOf(stub);

  await client.lookup({ vin: VIN });
  await Array.fromAsync(client.batchLookup({ vins: [VIN] }));
  await client.remove({ vin: VIN });
  await Array.fromAsync(client.export({}));

  expect(stub.service.calls.map(({ method, caller }) => `${method} ${caller}`)).toEqual([
    "Lookup 127.0.0.1",
    "BatchLookup 127.0.0.1",
    "Remove 127.0.0.1",
    "Export 127.0.0.1",
  ]);
});

describe("the rate of a caller", () => {
  const options = { headers: bearer("all") };

  test("is refused with the time to wait in whole seconds, in a detail and in headers", async () => {
    await using stub = await startGuardedStub({ burst: 2 });
    const client = clientOf(stub);
    await client.lookup({ vin: VIN }, options);
    await client.lookup({ vin: VIN }, options);

    const error = await errorOf(client.lookup({ vin: VIN }, options));
    const other = await client.lookup({ vin: VIN }, { headers: bearer("lookup") });

    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "RATE_LIMITED" }]);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n, nanos: 0 } }]);
    expect(error.metadata.get("retry-after")).toBe("1");
    expect(error.metadata.get("grpc-retry-pushback-ms")).toBe("1000");
    expect(other.vin).toBe(VIN);
  });

  test("is charged for each VIN of a batch, even into debt", async () => {
    await using stub = await startGuardedStub({ burst: 2 });
    const client = clientOf(stub);

    const answers = await Array.fromAsync(client.batchLookup({ vins: Array.from({ length: 52 }, () => VIN) }, options));
    const error = await errorOf(client.lookup({ vin: VIN }, options));
    stub.clock.now += 5_100;
    const later = await client.lookup({ vin: VIN }, options);

    expect(answers).toHaveLength(52);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 6n, nanos: 0 } }]);
    expect(error.metadata.get("retry-after")).toBe("6");
    expect(later.vin).toBe(VIN);
  });

  test("is charged for the largest batch by a larger one, although none of its VINs is looked up", async () => {
    await using stub = await startGuardedStub({ burst: 2 });
    const client = clientOf(stub);

    await Array.fromAsync(client.batchLookup({ vins: Array.from({ length: 9_000 }, () => "") }, options));
    const error = await errorOf(client.lookup({ vin: VIN }, options));

    // The burst of 2 is used, and the rest of 5,000 units takes 500 s, which is rounded up to whole minutes.
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 540n } }]);
  });

  test("is that of its address without a valid token, and does not affect callers with one", async () => {
    await using stub = await startGuardedStub({ burst: 2 });
    const call = async (headers: Record<string, string>): Promise<string> => {
      const error = await errorOf(clientOf(stub).lookup({ vin: VIN }, { headers }));
      return String(error.findDetails(ErrorInfoSchema).map(({ reason }) => reason));
    };

    const reasons = [
      await call({}),
      await call({ authorization: "Bearer vs_nobody" }),
      await call({ authorization: "Bearer vs_guess" }),
      await call({}),
    ];
    const { vin } = await clientOf(stub).lookup({ vin: VIN }, options);

    expect(reasons).toEqual(["TOKEN_MISSING", "TOKEN_UNKNOWN", "RATE_LIMITED", "RATE_LIMITED"]);
    expect(vin).toBe(VIN);
  });
});

describe.each(["grpc", "grpc-web", "connect"] as const)("the audit over %s", (protocol) => {
  test("has a line for every Remove and Export by a known caller, and none for the rest", async () => {
    await using stub = await startGuardedStub();
    const client = clientOf(stub, protocol);
    const headers = { ...bearer("all"), "x-request-id": "r-1" };

    await client.remove({ vin: ` ${VIN.toLowerCase()} ` }, { headers });
    await Array.fromAsync(client.export({}, { headers }));
    await errorOf(client.remove({ vin: VIN }, { headers: { ...headers, ...bearer("lookup") } }));
    await errorOf(Array.fromAsync(client.export({}, { headers: { ...headers, ...bearer("lookup") } })));
    await client.lookup({ vin: VIN }, { headers });
    await errorOf(client.remove({ vin: VIN }, { headers: bearer("nobody") }));
    await errorOf(Array.fromAsync(client.export({})));
    await stub.whenEnded(7);

    expect(auditOf(stub)).toEqual([
      { action: "Remove", caller: "all", vin: VIN, requestId: "r-1", code: "ok" },
      { action: "Export", caller: "all", requestId: "r-1", code: "ok" },
      { action: "Remove", caller: "lookup", vin: VIN, requestId: "r-1", code: "PermissionDenied" },
      { action: "Export", caller: "lookup", requestId: "r-1", code: "PermissionDenied" },
    ]);
  });

  test("says that the reader of an export has left", async () => {
    await using stub = await startGuardedStub();
    stub.service.exportsHang = true;
    const left = new AbortController();
    const answer = clientOf(stub, protocol).export({}, { headers: bearer("all"), signal: left.signal });

    await answer[Symbol.asyncIterator]().next();
    left.abort();
    await stub.whenEnded(1);

    expect(auditOf(stub)).toMatchObject([{ action: "Export", caller: "all", code: "Canceled" }]);
    expect(stub.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  });
});

test("the audit never has a malformed VIN", async () => {
  await using stub = await startGuardedStub();

  await errorOf(clientOf(stub).remove({ vin: "x\r\nforged line" }, { headers: bearer("all") }));

  expect(auditOf(stub)).toMatchObject([{ vin: "malformed", code: "InvalidArgument" }]);
  expect(JSON.stringify(stub.logger.lines)).not.toContain("forged");
});

test.each([
  ["leaves", {}, "Canceled"],
  ["reads nothing", { watch: { stallTimeoutMs: 100, lookMs: 5 } }, "Aborted"],
])(
  "the audit of an export says when its reader %s while data waits for it, and no error is logged",
  async (how, limits, code) => {
    await using stub = await startGuardedStub({ limits });
    stub.service.exportsGoOn = true;
    using client = new EchoHttp2(stub.address);
    const stream = client.open("/vehicle.v1.VehicleService/Export", bearer("all"));
    stream.end(frame());
    // The rest of the first window is in the client, unread, and everything else in the service.
    await vi.waitFor(() => expect(stream.readableLength).toBeGreaterThan(0), 250_000);

    if (how === "leaves") {
      stream.close(constants.NGHTTP2_CANCEL);
    }
    await stub.whenEnded(1);

    expect(auditOf(stub)).toMatchObject([{ action: "Export", code }]);
    expect(stub.logger.lines.filter(({ level }) => level === "error")).toEqual([]);
  },
);

test("a method without a rule is not served", () => {
  const { export: _export, ...rules } = METHOD_RULES[VehicleService.typeName] ?? {};
  const service = createServiceImplSpec<typeof VehicleService>(VehicleService, {});

  expect(() => servedMethods([service], { [VehicleService.typeName]: rules })).toThrow(
    "vehicle.v1.VehicleService/Export has no rule",
  );
  expect(() => servedMethods([service], {})).toThrow("has no rule");
});
