import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { SourceName, View } from "../vehicle/vehicle.ts";
import type { LookupResult } from "../vehicle/vehicle-lookup.ts";

const SOURCES: Readonly<Record<SourceName, Source>> = { vpic: Source.VPIC, snapshot: Source.SNAPSHOT };

/**
 * The message for a vehicle; attributes are only in the full view. A complete message, because completing one with
 * `create` costs more than all the rest.
 */
export function toLookupResponse({ vehicle, cached, stale }: LookupResult, view: View): LookupResponse {
  const { verdict } = vehicle;
  const seconds = Math.floor(vehicle.decodedAt / 1_000);
  return {
    $typeName: "vehicle.v1.LookupResponse",
    vin: vehicle.vin,
    make: vehicle.make,
    model: vehicle.model,
    modelYear: vehicle.modelYear,
    bodyClass: vehicle.bodyClass,
    cached,
    stale,
    source: SOURCES[vehicle.source],
    decodeTime: {
      $typeName: "google.protobuf.Timestamp",
      seconds: BigInt(seconds),
      nanos: (vehicle.decodedAt - 1_000 * seconds) * 1_000_000,
    },
    verdict: {
      $typeName: "vehicle.v1.Verdict",
      codes: [...verdict.codes],
      text: verdict.text,
      suggestedVin: verdict.suggestedVin,
      possibleValues: verdict.possibleValues,
      additionalText: verdict.additionalText,
      likelyVin: vehicle.likelyVin ?? "",
    },
    attributes: view === "full" ? { ...vehicle.attributes } : {},
    dataDate: vehicle.dataDate ?? "",
  };
}
