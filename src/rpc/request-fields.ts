import type { Duration } from "@bufbuild/protobuf/wkt";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { BatchLookupRequest } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { View as ViewMessage } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { InvalidFieldError } from "../vehicle/errors.ts";
import type { VehicleQuery, View } from "../vehicle/vehicle.ts";
import { parseVin } from "../vehicle/vin.ts";

/** The first model year that the service supports. */
const FIRST_MODEL_YEAR = 1980;
const MODEL_YEARS_AHEAD = 2;
/** How many VINs a batch may have. */
export const MAX_BATCH_VINS = 5_000;

/** The fields of a query, as sent. */
interface QueryFields {
  readonly vin: string;
  readonly modelYear?: number | undefined;
}

/**
 * @param now ms since the epoch.
 * @param path prefix of the field names in errors, such as `queries[3].`. Default: none.
 * @throws InvalidFieldError when the VIN is malformed, or the model year is set and not from 1980 to two years from
 *   now.
 */
export function parseQuery({ vin, modelYear }: QueryFields, now: number, path = ""): VehicleQuery {
  return { vin: parseVin(vin, `${path}vin`), modelYear: parseModelYear(modelYear, now, `${path}model_year`) };
}

/** @throws InvalidFieldError when it is set and not from 1980 to two years from now. */
export function parseModelYear(modelYear: number | undefined, now: number, field: string): number | undefined {
  if (modelYear === undefined) {
    return undefined;
  }
  const lastModelYear = new Date(now).getUTCFullYear() + MODEL_YEARS_AHEAD;
  if (!(modelYear >= FIRST_MODEL_YEAR && modelYear <= lastModelYear)) {
    throw new InvalidFieldError(
      field,
      `${modelYear} is not a model year from ${FIRST_MODEL_YEAR} to ${lastModelYear}; leave it unset when it is not known`,
    );
  }
  return modelYear;
}

/** @returns ms, or undefined when unset. @throws InvalidFieldError when negative. */
export function parseMaxAge(maxAge: Duration | undefined): number | undefined {
  if (maxAge === undefined) {
    return undefined;
  }
  const ms = durationMs(maxAge);
  if (ms < 0) {
    throw new InvalidFieldError("max_age", `${ms / 1000} s is negative; 0s asks the source again`);
  }
  return ms;
}

/** @throws InvalidFieldError when it is not a value of the enum. */
export function parseView(view: ViewMessage): View {
  switch (view) {
    case ViewMessage.UNSPECIFIED:
    case ViewMessage.BASIC:
      return "basic";
    case ViewMessage.FULL:
      return "full";
    default:
      throw new InvalidFieldError("view", `${String(view)} is not a view; use VIEW_BASIC (1) or VIEW_FULL (2)`);
  }
}

/** The queries of a batch. */
export interface BatchQueries {
  readonly size: number;
  /** @throws InvalidFieldError when the query at the index is malformed. */
  readonly queryAt: (index: number) => VehicleQuery;
  /** The VIN at the index, as sent. */
  readonly vinAt: (index: number) => string;
}

/**
 * @param now ms since the epoch.
 * @throws InvalidFieldError unless exactly one list is filled, with at most 5,000 VINs.
 */
export function parseBatch({ vins, queries }: BatchLookupRequest, now: number): BatchQueries {
  if (vins.length > 0 && queries.length > 0) {
    throw new InvalidFieldError("queries", "fill either vins or queries, not both");
  }
  if (queries.length > 0) {
    checkBatchSize("queries", queries.length);
    const fieldsAt = (index: number): QueryFields => queries[index] ?? { vin: "" };
    return {
      size: queries.length,
      queryAt: (index) => parseQuery(fieldsAt(index), now, `queries[${index}].`),
      vinAt: (index) => fieldsAt(index).vin,
    };
  }
  checkBatchSize("vins", vins.length);
  const vinAt = (index: number): string => vins[index] ?? "";
  return {
    size: vins.length,
    queryAt: (index) => ({ vin: parseVin(vinAt(index), `vins[${index}]`) }),
    vinAt,
  };
}

function checkBatchSize(field: string, size: number): void {
  if (size === 0) {
    throw new InvalidFieldError(field, `at least one VIN is required, and at most ${MAX_BATCH_VINS}`);
  }
  if (size > MAX_BATCH_VINS) {
    throw new InvalidFieldError(
      field,
      `${size} VINs are too many for one batch; send at most ${MAX_BATCH_VINS} at a time`,
    );
  }
}
