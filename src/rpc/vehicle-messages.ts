import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { AnySchema, anyPack, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import type {
  BatchLookupResponseSchema,
  ExportMetadataSchema,
  LookupResponse,
} from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { ExportFile } from "../export/export-file.ts";
import type { BatchAnswer } from "../vehicle/batch-lookup.ts";
import type { SourceName, View } from "../vehicle/vehicle.ts";
import type { LookupResult } from "../vehicle/vehicle-lookup.ts";
import type { ErrorContext } from "./describe-error.ts";
import { describeError } from "./describe-error.ts";
import type { ErrorDetail } from "./error-details.ts";
import { isErrorInfo } from "./error-details.ts";

const SOURCES: Readonly<Record<SourceName, Source>> = { vpic: Source.VPIC, snapshot: Source.SNAPSHOT };

/**
 * The message for a vehicle; attributes are only in the full view. Sets every field, because `create`, which would set
 * the missing ones, costs more than everything else here.
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

/** The options for all rows of a batch. */
export interface RowOptions {
  readonly view: View;
  /** Whether errors have details. */
  readonly withDetails: boolean;
  readonly errorContext: ErrorContext;
}

/**
 * The message for one VIN of a batch.
 *
 * @param vin as sent.
 */
export function toBatchLookupResponse(
  answer: BatchAnswer,
  vin: string,
  options: RowOptions,
): MessageInitShape<typeof BatchLookupResponseSchema> {
  const { index } = answer;
  return "result" in answer
    ? { index, vin, result: { case: "vehicle", value: toLookupResponse(answer.result, options.view) } }
    : { index, vin, ...toError(answer.error, options) };
}

function toError(
  error: unknown,
  { withDetails, errorContext }: RowOptions,
): Pick<MessageInitShape<typeof BatchLookupResponseSchema>, "result" | "errorInfo"> {
  const { code, message, details } = describeError(error, errorContext);
  const errorInfo = details.find(isErrorInfo)?.value;
  const row = { code, message, details: withDetails ? details.map(toAny) : [] };
  return {
    result: { case: "error", value: row },
    ...(errorInfo === undefined ? {} : { errorInfo }),
  };
}

function toAny(detail: ErrorDetail): Any {
  return "desc" in detail
    ? anyPack(detail.desc, create(detail.desc, detail.value))
    : create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value });
}

/** The message that precedes the bytes of an export. */
export function toExportMetadata(file: ExportFile): MessageInitShape<typeof ExportMetadataSchema> {
  return {
    fileName: file.fileName,
    mediaType: file.mediaType,
    rowCount: BigInt(file.rowCount),
    sizeBytes: BigInt(file.sizeBytes),
    snapshotTime: timestampFromMs(file.snapshotTime),
  };
}
