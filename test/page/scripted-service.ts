import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import type {
  BatchLookupResponseSchema,
  LookupResponse,
  LookupResponseSchema,
} from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { preparedRefusal } from "../../src/rpc/describe-error.ts";
import { answerBytes } from "../../src/server/exchange.ts";
import { createPageHandler } from "../../src/server/page.ts";
import type { PlainHandler } from "../../src/server/plain-call.ts";
import { NoSourceAvailableError, VinNotDecodedError } from "../../src/vehicle/errors.ts";
import type { Served, VehicleHandlers } from "../support/serve.ts";
import { serve } from "../support/serve.ts";
import { scriptedMetrics } from "./scripted-metrics.ts";

type Vehicle = Exclude<MessageInitShape<typeof LookupResponseSchema>, LookupResponse>;

/** VINs that the scripted service answers in a special way. All others are decoded clean. */
export const VIN = {
  fresh: "1XPWD40X1ED215307",
  cached: "1FAHP2J82EG109854",
  stale: "1C4BJWDG3DL501677",
  snapshot: "WVWKG61J34D132375",
  suggested: "1FBNE3BE1CDB23596",
  likely: "19UVA66214A009530",
  bare: "1AB2A2C5XEA000001",
  markup: "1M2N179Y7JA009077",
  unknown: "1AAABCDE6EP000001",
  noSource: "1G1YY32G425115593",
  limited: "1G2NW52E8XM924137",
  overloaded: "1G6EL12Y1YU198830",
  /** Is never answered, as everything after it. */
  held: "1GNCT18W8S2154084",
} as const;

const CLEAN = { codes: [0], text: "0 - VIN decoded clean. Check Digit (9th position) is correct" };
const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;
const HALF_EXPORT_BYTES = 1_250_000;

const TRUCK = {
  BrakeSystemType: "Air",
  DisplacementCC: "14900.0",
  DisplacementCI: "909.25",
  DisplacementL: "14.9",
  EngineConfiguration: "In-Line",
  EngineCylinders: "6",
  EngineHP: "600",
  EngineManufacturer: "Cummins",
  EngineModel: "ISX",
  FuelTypePrimary: "Diesel",
  GVWR: "Class 8: 33,001 lb and above (14,969 kg and above)",
  MakeID: "495",
  Manufacturer: "PETERBILT MOTORS COMPANY",
  ManufacturerId: "1033",
  ModelID: "2793",
  OtherEngineInfo: "EPA 2013; meets the Greenhouse Gas Emissions Standard",
  PlantCity: "DENTON",
  PlantCountry: "UNITED STATES (USA)",
  PlantState: "TEXAS",
  VehicleDescriptor: "1XPWD40X*ED",
  VehicleType: "TRUCK",
};

/** Makes, models and body classes by the beginnings of VINs. */
const KINDS: Readonly<Record<string, readonly [make: string, model: string, year: string, body: string]>> = {
  "1XPWD": ["PETERBILT", "388", "2014", "Truck-Tractor"],
  "1FAHP": ["FORD", "Taurus", "2014", "Sedan/Saloon"],
  "1C4BJ": ["JEEP", "Wrangler", "2013", "Sport Utility Vehicle [SUV]/Multipurpose Vehicle [MPV]"],
  WVWKG: ["VOLKSWAGEN", "R32", "2004", "Hatchback/Liftback/Notchback"],
  "1FBNE": ["FORD", "E-350", "2012", "Van"],
  "19UVA": ["ACURA", "", "2004", ""],
  "1AB2A": ["AIRSTREAM INC.", "Argosy Travel Trailer", "2014", "Trailer"],
  "1M2N1": ["MACK", "<img src=x onerror=alert(1)> & a model with a very long name", "1988", "Truck-Tractor"],
};
const OTHER_KIND = ["CHEVROLET", "Corvette", "2002", "Convertible/Cabriolet"] as const;

const CHANGES: Readonly<Record<string, () => Vehicle>> = {
  [VIN.fresh]: () => ({ attributes: TRUCK }),
  [VIN.cached]: () => ({ cached: true, decodeTime: timestampFromMs(Date.now() - 3 * DAY_MS) }),
  [VIN.stale]: () => ({ cached: true, stale: true, decodeTime: timestampFromMs(Date.now() - 41 * DAY_MS) }),
  [VIN.snapshot]: () => ({ source: Source.SNAPSHOT, dataDate: "2026-02-17" }),
  [VIN.suggested]: () => ({
    verdict: {
      codes: [1, 4, 14],
      text:
        "1 - Check Digit (9th position) does not calculate properly; 4 - VIN corrected, error in one position only " +
        "(indicated by ! in Suggested VIN), multiple matches found; 14 - Unable to provide information for some of " +
        "the characters in the VIN, based on the manufacturer submission.",
      suggestedVin: "1FBNE3BL!CDB23596",
      possibleValues: "(8:BLSW)",
      additionalText:
        "The Model Year decoded for this VIN may be incorrect. If you know the Model year, please enter it and decode " +
        "again to get more accurate information.",
    },
  }),
  [VIN.likely]: () => ({
    verdict: {
      codes: [1],
      text: "1 - Check Digit (9th position) does not calculate properly",
      likelyVin: "19UUA66214A009530",
    },
  }),
  [VIN.bare]: () => ({ attributes: {} }),
  [VIN.markup]: () => ({ attributes: { ...TRUCK, Note: `<b>bold</b> ${"WORD".repeat(60)}` } }),
};

function vehicleOf(vin: string, modelYear: number | undefined): Vehicle {
  const [make, model, year, bodyClass] = KINDS[vin.slice(0, 5)] ?? OTHER_KIND;
  return {
    vin,
    make,
    model,
    modelYear: String(modelYear ?? year),
    bodyClass,
    source: Source.VPIC,
    decodeTime: timestampFromMs(Date.now()),
    verdict: CLEAN,
    attributes: { ...TRUCK, Manufacturer: make, VehicleType: "PASSENGER CAR", FuelTypePrimary: "Gasoline" },
    ...CHANGES[vin]?.(),
  };
}

const ERRORS: Readonly<Record<string, () => Error>> = {
  [VIN.unknown]: () =>
    new VinNotDecodedError(VIN.unknown, {
      codes: [7],
      text: "7 - Manufacturer is not registered with NHTSA for sale or importation in the U.S. for use on U.S roads",
    }),
  [VIN.noSource]: () => new NoSourceAvailableError(30_000),
  [VIN.limited]: () => preparedRefusal({ reason: "RATE_LIMITED", retryAfterMs: 7_000 }),
  [VIN.overloaded]: () => preparedRefusal({ reason: "OVERLOADED", retryAfterMs: 1_000 }),
};

function answerTo(
  index: number,
  vin: string,
  modelYear: number | undefined,
): MessageInitShape<typeof BatchLookupResponseSchema> {
  if (vin === VIN.noSource) {
    const message = "nothing is cached for this VIN and no source can answer now";
    return { index, vin, result: { case: "error", value: { code: Code.Unavailable, message } } };
  }
  if (vin === VIN.unknown) {
    const message = `no source knows make, model or year of ${vin}`;
    const text = "7 - Manufacturer is not registered with NHTSA for sale or importation in the U.S.";
    return {
      index,
      vin,
      result: { case: "error", value: { code: Code.NotFound, message } },
      errorInfo: { reason: "VIN_NOT_DECODED", metadata: { text } },
    };
  }
  return { index, vin, result: { case: "vehicle", value: vehicleOf(vin, modelYear) } };
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

const HANDLERS: VehicleHandlers = {
  async lookup({ vin, modelYear }, { signal }) {
    if (vin === VIN.held) {
      await whenAborted(signal);
    }
    const error = ERRORS[vin]?.();
    if (error !== undefined) {
      throw error;
    }
    return vehicleOf(vin, modelYear);
  },
  async *batchLookup({ queries }, { signal }) {
    if (queries.some(({ vin }) => vin === VIN.limited)) {
      throw preparedRefusal({ reason: "RATE_LIMITED", retryAfterMs: 7_000 });
    }
    for (const [index, { vin, modelYear }] of queries.entries()) {
      if (vin === VIN.held) {
        await whenAborted(signal);
      }
      yield answerTo(index, vin, modelYear);
    }
  },
  remove: ({ vin }) => ({ vin, removed: vin !== VIN.unknown }),
  async *export(_, { signal }) {
    const sizeBytes = BigInt(2 * HALF_EXPORT_BYTES);
    const fileName = "vehicles-20261122T101500Z.parquet";
    yield {
      part: { case: "metadata", value: { fileName, mediaType: "application/x-parquet", sizeBytes, rowCount: 18_204n } },
    };
    yield { part: { case: "data", value: new Uint8Array(HALF_EXPORT_BYTES) } };
    await whenAborted(signal);
  },
};

const SCOPES: Readonly<Record<string, readonly string[]>> = {
  all: ["lookup", "remove", "export"],
  lookup: ["lookup"],
  remove: ["remove"],
};

function statusFor(authorization: string | undefined, hasTokens: boolean): object {
  const name = hasTokens ? (authorization?.replace("Bearer vs_", "") ?? "") : "all";
  const scopes = SCOPES[name];
  const refusal = name === "" ? "TOKEN_MISSING" : "TOKEN_UNKNOWN";
  const oldestAt = Date.now() - 12 * DAY_MS;
  return {
    version: "0.2.0",
    workers: 2,
    sources: ["vpic", "snapshot"],
    snapshot: { state: "ready", dataDate: "2026-02-17", isEmbedded: true },
    access: scopes === undefined ? { scopes: [], refusal } : { caller: name, scopes },
    cache: {
      entries: [
        { source: "vpic", isNegative: false, count: 17_344, oldestAt },
        { source: "snapshot", isNegative: false, count: 812, oldestAt },
        { source: "vpic", isNegative: true, count: 48, oldestAt },
      ],
      bytes: 19_400_000,
    },
  };
}

function plainAnswer(type: string, write: (authorization: string | undefined) => string): PlainHandler {
  return {
    answer: (exchange) => answerBytes(exchange, 200, { "content-type": type }, write(exchange.headers.authorization)),
  };
}

/** Starts the real server with scripted answers. Its metrics are those of a busy service, and go on with each reading. */
export async function startScriptedService(hasTokens = false): Promise<Served> {
  let readings = 0;
  return await serve({
    hasTokens,
    handlers: HANDLERS,
    plain: {
      "GET /": createPageHandler(),
      "GET /status": plainAnswer("application/json", (token) => JSON.stringify(statusFor(token, hasTokens))),
      "GET /metrics": plainAnswer("text/plain", () => scriptedMetrics(readings++)),
    },
  });
}
