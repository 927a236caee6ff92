import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { LookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { SourceName, View } from "../vehicle/vehicle.ts";
import type { LookupResult } from "../vehicle/vehicle-lookup.ts";

const SOURCES: Readonly<Record<SourceName, Source>> = { vpic: Source.VPIC, snapshot: Source.SNAPSHOT };

/** The message for a vehicle; attributes are only in the full view. */
export function toLookupResponse(
  { vehicle, cached, stale }: LookupResult,
  view: View,
): MessageInitShape<typeof LookupResponseSchema> {
  const { verdict } = vehicle;
  return {
    vin: vehicle.vin,
    make: vehicle.make,
    model: vehicle.model,
    modelYear: vehicle.modelYear,
    bodyClass: vehicle.bodyClass,
    cached,
    stale,
    source: SOURCES[vehicle.source],
    decodeTime: timestampFromMs(vehicle.decodedAt),
    verdict: {
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
