import type { DescMethod } from "@bufbuild/protobuf";
import { isMessage } from "@bufbuild/protobuf";
import type { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { BatchLookupRequestSchema, RemoveRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Scope } from "../access/scope.ts";
import { LARGEST_BATCH } from "./request-fields.ts";

/** What a method asks of its callers. */
export interface AccessRule {
  readonly scope: Scope;
  /** How many units of the caller's rate a request costs; 1 unless given. */
  readonly costOf?: (request: unknown) => number;
  /** Whether calls leave a line in the log by which it can be told later who has done what. */
  readonly isAudited?: true;
  /** The VIN for that line, as sent; left out where a request has none. */
  readonly vinOf?: (request: unknown) => string | undefined;
}

const rules: Readonly<Record<keyof typeof VehicleService.method, AccessRule>> = {
  lookup: { scope: "lookup" },
  batchLookup: {
    scope: "lookup",
    // Larger ones are refused before any of their VINs is looked at, but all of them are read.
    costOf: (request) =>
      isMessage(request, BatchLookupRequestSchema) ? Math.min(request.vins.length, LARGEST_BATCH) : 1,
  },
  remove: {
    scope: "remove",
    isAudited: true,
    vinOf: (request) => (isMessage(request, RemoveRequestSchema) ? request.vin : undefined),
  },
  export: { scope: "export", isAudited: true },
};

/** The one table of what each of our methods asks of its callers, by the method's name in code. */
export const ACCESS_RULES: Readonly<Record<string, AccessRule>> = rules;

/**
 * The rules by method.
 *
 * @throws Error when a method has no rule: it must not be served
 */
export function rulesByMethod(
  methods: readonly DescMethod[],
  table: Readonly<Record<string, AccessRule>>,
): ReadonlyMap<DescMethod, AccessRule> {
  return new Map(
    methods.map((method) => {
      const rule = Object.hasOwn(table, method.localName) ? table[method.localName] : undefined;
      if (rule === undefined) {
        throw new Error(`${method.parent.typeName}/${method.name} has no rule of access; add one to the table`);
      }
      return [method, rule];
    }),
  );
}
