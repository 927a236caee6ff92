import type { Duration } from "@bufbuild/protobuf/wkt";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { View as ViewMessage } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { InvalidFieldError } from "../vehicle/errors.ts";
import type { View } from "../vehicle/vehicle.ts";

const FIRST_MODEL_YEAR = 1981;
/** How many VINs a batch may have. */
export const LARGEST_BATCH = 5_000;

/** @throws InvalidFieldError unless it is unset or from 1981 to the year after next. */
export function parseModelYear(modelYear: number | undefined, now: number): number | undefined {
  const lastModelYear = new Date(now).getUTCFullYear() + 2;
  if (modelYear !== undefined && (modelYear < FIRST_MODEL_YEAR || modelYear > lastModelYear)) {
    throw new InvalidFieldError(
      "model_year",
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

/** @throws InvalidFieldError when it is none of the enum's values. */
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

/** @throws InvalidFieldError unless there are 1 to 5,000 VINs. */
export function checkBatchSize(size: number): void {
  if (size === 0) {
    throw new InvalidFieldError("vins", `at least one VIN is required, and at most ${LARGEST_BATCH}`);
  }
  if (size > LARGEST_BATCH) {
    throw new InvalidFieldError(
      "vins",
      `${size} VINs are too many for one batch; send at most ${LARGEST_BATCH} at a time`,
    );
  }
}
