import { join } from "node:path";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { anyUnpack, durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import type { BatchLookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import {
  BatchLookupRequestSchema,
  LookupRequestSchema,
  LookupResponseSchema,
  Source,
  VehicleService,
  View,
} from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { VehicleExports } from "../../src/export/vehicle-exports.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { createInterceptors } from "../../src/rpc/interceptors.ts";
import { METHOD_RULES } from "../../src/rpc/methods.ts";
import { createVehicleHandlers } from "../../src/rpc/vehicle-handlers.ts";
import { SourceUnavailableError, StoreUnavailableError } from "../../src/vehicle/errors.ts";
import { VehicleLookup } from "../../src/vehicle/vehicle-lookup.ts";
import { aVehicle } from "../support/a-vehicle.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { ScriptedSource } from "../support/scripted-source.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { toConnectInterceptor, withCalls } from "../support/with-calls.ts";

const VIN = "1XPWD40X1ED215307";
const NOW = Date.UTC(2026, 10, 22, 12);
const HOUR_MS = 3_600_000;
const BATCH_RULE = METHOD_RULES[VehicleService.typeName]?.["batchLookup"];
const freshness = { freshForMs: HOUR_MS, staleForMs: HOUR_MS, negativeForMs: HOUR_MS, snapshotForMs: HOUR_MS };

interface Harness {
  readonly client: Client<typeof VehicleService>;
  readonly source: ScriptedSource;
  readonly store: MemoryStore;
  readonly logger: MemoryLogger;
  /** The counted outcomes with their sources, in order. */
  readonly outcomes: string[];
}

let directory: AsyncDisposable & { readonly path: string };
let exports: VehicleExports;

beforeAll(async () => {
  directory = await temporaryDirectory();
  const location = { kind: "sqlite", path: join(directory.path, "vehicles.db") } as const;
  exports = await VehicleExports.start({
    location,
    directory: directory.path,
    service: "test",
    version: "0",
    logger: new MemoryLogger(),
  });
});

afterAll(async () => {
  await exports[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

function setUp(store = new MemoryStore(), transportOptions: { readonly useBinaryFormat?: boolean } = {}): Harness {
  const source = new ScriptedSource("vpic");
  const logger = new MemoryLogger();
  const now = (): number => NOW;
  const onSourceFault = (): void => undefined;
  const lookup = new VehicleLookup({ store, sources: [source], freshness, patienceMs: 2_000, onSourceFault, now });
  const limiter = new RateLimiter({ perSecond: 1, burst: 1 });
  const guard = new AccessGuard({ tokens: undefined, limiter, anonymous: limiter });
  const outcomes: string[] = [];
  const onLookup = (result: string, by: string): void => void outcomes.push(`${result} ${by}`);
  const handlers = createVehicleHandlers({ lookup, exports, logger, now, onLookup });
  const transport = createRouterTransport(({ service }) => service(VehicleService, handlers), {
    router: { interceptors: [withCalls, ...createInterceptors({ guard, logger }).map(toConnectInterceptor)] },
    transport: transportOptions,
  });
  return { client: createClient(VehicleService, transport), source, store, logger, outcomes };
}

function copies<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

function detailsOf(answer: BatchLookupResponse | undefined): Any[] {
  return answer?.result.case === "error" ? answer.result.value.details : [];
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => Promise.reject(new Error("the call succeeded")),
    (error: unknown) => ConnectError.from(error),
  );
}

describe("Lookup", () => {
  test("answers with everything but the attributes", async () => {
    const { client } = setUp();

    const answer = await client.lookup({ vin: "\uFEFF 1xpwd40x1ed215307 " });

    expect(answer).toEqual(
      create(LookupResponseSchema, {
        vin: VIN,
        make: "PETERBILT",
        model: "388",
        modelYear: "2014",
        bodyClass: "Truck-Tractor",
        source: Source.VPIC,
        decodeTime: { seconds: BigInt(NOW / 1000) },
        verdict: { codes: [0], text: "0 - VIN decoded clean. Check Digit (9th position) is correct" },
      }),
    );
  });

  test("adds the attributes in the full view, also to a new decode", async () => {
    const { client } = setUp();

    const decoded = await client.lookup({ vin: VIN, view: View.FULL });
    const cached = await client.lookup({ vin: VIN, view: View.FULL });

    expect(decoded.attributes).toEqual({ EngineCylinders: "6", VehicleType: "TRUCK" });
    expect(cached.attributes).toEqual(decoded.attributes);
    expect([decoded.cached, cached.cached]).toEqual([false, true]);
  });

  test.each([
    ["vin", { vin: "" }, "a VIN is required"],
    ["vin", { vin: "1XPWD40XIED215307" }, '"I" at position 9'],
    ["model_year", { vin: VIN, modelYear: 1979 }, "1979 is not a model year from 1980 to 2028"],
    ["model_year", { vin: VIN, modelYear: 2029 }, "2029 is not a model year from 1980 to 2028"],
    ["max_age", { vin: VIN, maxAge: durationFromMs(-1) }, "negative"],
    ["view", Object.assign(create(LookupRequestSchema, { vin: VIN }), { view: 7 }), "7 is not a view"],
  ])("refuses a bad %s and asks no source (%#)", async (field, request, description) => {
    const { client, source } = setUp();

    const error = await errorOf(client.lookup(request));

    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(BadRequestSchema)).toMatchObject([
      { fieldViolations: [{ field, description: expect.stringContaining(description) }] },
    ]);
    expect(source.asked).toHaveLength(0);
  });

  test.each([1980, 2028])("accepts the model year %d", async (modelYear) => {
    const { client, source } = setUp();

    await client.lookup({ vin: "ZCGAA1A10AA000123", modelYear });

    expect(source.asked).toEqual([{ vin: "ZCGAA1A10AA000123", modelYear }]);
  });

  test("returns the date of the snapshot's data and our own guess, also from the cache", async () => {
    const { client, source } = setUp();
    source.script = ({ vin }) =>
      aVehicle({ vin, source: "snapshot", dataDate: "2026-02-17", likelyVin: "1XPWD49X1ED215307" });

    const answers = [await client.lookup({ vin: VIN }), await client.lookup({ vin: VIN })];

    expect(answers).toMatchObject([
      { cached: false, dataDate: "2026-02-17", verdict: { likelyVin: "1XPWD49X1ED215307", suggestedVin: "" } },
      { cached: true, dataDate: "2026-02-17", verdict: { likelyVin: "1XPWD49X1ED215307", suggestedVin: "" } },
    ]);
  });

  test("counts the outcome of every VIN, also of a malformed one, alone and in a batch", async () => {
    const { client, outcomes } = setUp();

    await client.lookup({ vin: VIN });
    await client.lookup({ vin: VIN });
    await errorOf(client.lookup({ vin: "malformed" }));
    const alone = outcomes.splice(0);
    await Array.fromAsync(client.batchLookup({ vins: [VIN, "malformed"] }));

    expect(alone).toEqual(["decoded vpic", "fresh vpic", "failed none"]);
    expect(outcomes.toSorted()).toEqual(["failed none", "fresh vpic"]);
  });

  test("passes on vPIC's verdict on a VIN that no source can decode", async () => {
    const { client, source } = setUp();
    const verdict = { ...aVehicle().verdict, codes: [7, 11], text: "7 - Manufacturer is not registered" };
    source.script = ({ vin }) => aVehicle({ vin, make: "", model: "", modelYear: "", verdict });

    const error = await errorOf(client.lookup({ vin: "11111111111111111" }));

    expect(error.code).toBe(Code.NotFound);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      {
        reason: "VIN_NOT_DECODED",
        domain: "vehicle.v1",
        metadata: { codes: "7,11", text: "7 - Manufacturer is not registered" },
      },
    ]);
  });

  test("returns our own guess for a VIN that no source can decode, and again from the cache", async () => {
    const { client, source } = setUp();
    source.script = ({ vin }) => aVehicle({ vin, make: "", model: "", modelYear: "", likelyVin: VIN });

    const errors = [
      await errorOf(client.lookup({ vin: "1XBWD40X1ED215307" })),
      await errorOf(client.lookup({ vin: "1XBWD40X1ED215307" })),
    ];

    for (const error of errors) {
      expect(error.rawMessage).toMatch(/; our guess is that 1XPWD40X1ED215307 was meant$/);
      expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ metadata: { likely_vin: VIN } }]);
    }
    expect(source.asked).toHaveLength(1);
  });

  test("says when to retry when no source can answer", async () => {
    const { client, source } = setUp();
    source.script = () => {
      throw new SourceUnavailableError("refused", { retryAfterMs: 2_999.5 });
    };

    const error = await errorOf(client.lookup({ vin: VIN }));

    expect(error.code).toBe(Code.Unavailable);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NO_SOURCE_AVAILABLE" }]);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 3n } }]);
  });

  test("reveals no internals, only the request id for the log", async () => {
    const store = new MemoryStore();
    store.find = () => Promise.reject(new Error("SELECT secret FROM /var/lib/vehicles.db"));
    const { client, logger } = setUp(store);

    const error = await errorOf(client.lookup({ vin: VIN }, { headers: { "x-request-id": "abc-1" } }));

    expect(error.code).toBe(Code.Internal);
    expect(JSON.stringify([error.message, error.details])).not.toMatch(/secret|SELECT|vehicles\.db/);
    expect(error.message).toContain("abc-1");
    expect(error.findDetails(RequestInfoSchema)).toMatchObject([{ requestId: "abc-1" }]);
    expect(logger.lines.filter(({ level }) => level === "error")).toMatchObject([
      { message: "call failed", fields: { requestId: "abc-1", err: { message: expect.stringContaining("secret") } } },
    ]);
  });

  test("creates its own request id when the caller's could break a log line", async () => {
    const { client } = setUp();

    const error = await errorOf(client.lookup({ vin: "" }, { headers: { "x-request-id": "a b{}" } }));

    expect(error.findDetails(RequestInfoSchema)).toMatchObject([
      { requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    ]);
  });
});

describe("BatchLookup", () => {
  test("answers vehicles and errors, each with its index and the VIN as sent", async () => {
    const { client } = setUp();

    const answers = await Array.fromAsync(client.batchLookup({ vins: ["1xpwd40x1ed215307", "1XPWD40XIED215307"] }));

    const byIndex = answers.toSorted((a, b) => a.index - b.index);
    expect(byIndex).toMatchObject([
      { index: 0, vin: "1xpwd40x1ed215307", result: { case: "vehicle", value: { vin: VIN, make: "PETERBILT" } } },
      { index: 1, vin: "1XPWD40XIED215307", result: { case: "error", value: { code: Code.InvalidArgument } } },
    ]);
    expect(byIndex[1]?.errorInfo).toBeUndefined();
    const details = detailsOf(byIndex[1]);
    expect(details.map((any) => anyUnpack(any, BadRequestSchema)?.fieldViolations[0]?.field)).toContain("vins[1]");
  });

  test("adds a machine-readable reason to an error that has one", async () => {
    const { client, source } = setUp();
    source.script = ({ vin }) => aVehicle({ vin, make: "", model: "", modelYear: "" });

    const [answer] = await Array.fromAsync(client.batchLookup({ vins: [VIN] }));

    expect(answer?.errorInfo).toMatchObject({
      reason: "VIN_NOT_DECODED",
      domain: "vehicle.v1",
      metadata: { vin: VIN },
    });
    expect(detailsOf(answer).map((any) => anyUnpack(any, ErrorInfoSchema))).toContainEqual(answer?.errorInfo);
  });

  test("can be read in JSON by clients that do not know the types of details, errors included", async () => {
    const { client, source } = setUp(undefined, { useBinaryFormat: false });
    source.script = ({ vin }) => aVehicle({ vin, make: "", model: "", modelYear: "" });

    const answers = await Array.fromAsync(client.batchLookup({ vins: ["nonsense", VIN] }));

    expect(answers).toMatchObject([
      { result: { case: "error", value: { code: Code.InvalidArgument, details: [] } } },
      {
        result: { case: "error", value: { code: Code.NotFound, details: [] } },
        errorInfo: { reason: "VIN_NOT_DECODED" },
      },
    ]);
  });

  test("answers queries with model years in the same way as VINs", async () => {
    const { client, source } = setUp();
    const queries = [
      { vin: VIN, modelYear: 2014 },
      { vin: "1xpwd40x1ed215307" },
      { vin: VIN, modelYear: 2014 },
      { vin: VIN, modelYear: 1979 },
      { vin: "1XPWD40XIED215307" },
    ];

    const answers = await Array.fromAsync(client.batchLookup({ queries }));

    const byIndex = answers.toSorted((a, b) => a.index - b.index);
    expect(byIndex.map(({ index, vin, result }) => [index, vin, result.case])).toEqual([
      [0, VIN, "vehicle"],
      [1, "1xpwd40x1ed215307", "vehicle"],
      [2, VIN, "vehicle"],
      [3, VIN, "error"],
      [4, "1XPWD40XIED215307", "error"],
    ]);
    expect(byIndex.slice(3).map(({ result }) => (result.case === "error" ? result.value.message : ""))).toEqual([
      expect.stringMatching(/^queries\[3\]\.model_year: 1979 is not a model year from 1980 to 2028/),
      expect.stringMatching(/^queries\[4\]\.vin: "I" at position 9/),
    ]);
    expect(source.asked).toEqual([{ vin: VIN, modelYear: 2014 }, { vin: VIN }]);
  });

  test.each(["vins", "queries"] as const)("costs one unit for each of the %s", (list) => {
    const vins = list === "vins" ? copies(3, VIN) : [];
    const queries = list === "queries" ? copies(3, { vin: VIN }) : [];

    const cost = BATCH_RULE?.costOf?.(create(BatchLookupRequestSchema, { vins, queries }));

    expect(cost).toBe(3);
  });

  test("accepts 5,000 queries in any format", () => {
    const message = create(BatchLookupRequestSchema, { queries: copies(5_000, { vin: VIN, modelYear: 2014 }) });

    const sizes = [
      toBinary(BatchLookupRequestSchema, message).byteLength,
      JSON.stringify(toJson(BatchLookupRequestSchema, message, { useProtoFieldName: true })).length,
    ];

    expect(Math.max(...sizes)).toBeLessThanOrEqual(BATCH_RULE?.maxRequestBytes ?? 0);
  });

  test.each([
    ["no VIN", {}, "vins", "at least one VIN is required, and at most 5000"],
    ["5,001 VINs", { vins: copies(5_001, VIN) }, "vins", "5001 VINs are too many for one batch"],
    ["5,001 queries", { queries: copies(5_001, { vin: VIN }) }, "queries", "5001 VINs are too many for one batch"],
    ["both lists filled", { vins: [VIN], queries: [{ vin: VIN }] }, "queries", "fill either vins or queries, not both"],
  ])("refuses %s", async (_, request, field, description) => {
    const { client, source } = setUp();

    const error = await errorOf(Array.fromAsync(client.batchLookup(request)));

    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(BadRequestSchema)).toMatchObject([
      { fieldViolations: [{ field, description: expect.stringContaining(description) }] },
    ]);
    expect(source.asked).toEqual([]);
  });
});

describe("Remove", () => {
  test("returns whether there was an entry, and makes the next Lookup a miss", async () => {
    const { client } = setUp();
    await client.lookup({ vin: VIN });

    const first = await client.remove({ vin: VIN.toLowerCase() });
    const second = await client.remove({ vin: VIN });
    const next = await client.lookup({ vin: VIN });

    expect([first, second]).toMatchObject([
      { vin: VIN, removed: true },
      { vin: VIN, removed: false },
    ]);
    expect(next.cached).toBe(false);
  });

  test("reports that the cache cannot remove", async () => {
    const store = new MemoryStore();
    store.remove = () => Promise.reject(new StoreUnavailableError("SQLITE_READONLY"));
    const { client } = setUp(store);

    const error = await errorOf(client.remove({ vin: VIN }));

    expect(error.code).toBe(Code.Unavailable);
    expect(error.message).not.toContain("SQLITE");
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
  });
});
