import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { isMessage } from "@bufbuild/protobuf";
import type { MethodImplSpec, ServiceImplSpec } from "@connectrpc/connect";
import { Health } from "#gen/health/v1/health_pb.ts";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "#gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { BatchLookupRequestSchema, RemoveRequestSchema, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Scope } from "../access/token.ts";
import { MAX_BATCH_VINS } from "./request-fields.ts";

/** The rule of a method: what it requires of callers, and the limits of one call. */
export interface MethodRule {
  /**
   * The required scope; `any` accepts every valid token, `open` needs none. Without configured tokens all methods are
   * open.
   */
  readonly scope: Scope | "any" | "open";
  /** How many units of the caller's rate a request uses. Default: 1. */
  readonly costOf?: (request: unknown) => number;
  /** Whether each call is audited. Default: it is not. */
  readonly isAudited?: true;
  /** The VIN for the audit line, as sent. */
  readonly vinOf?: (request: unknown) => string | undefined;
  /** Maximum number of open streams of all callers without a token together. Default: no separate limit. */
  readonly maxOpenWithoutToken?: number;
  /** Whether its calls may last indefinitely and are idle most of the time. They do not count as calls in flight. */
  readonly isBackground?: true;
  /** The largest request message, as sent and after decompression. Larger ones are RESOURCE_EXHAUSTED. */
  readonly maxRequestBytes: number;
  /** The largest response message, before compression. Larger ones are RESOURCE_EXHAUSTED. */
  readonly maxResponseBytes: number;
  /** The time limit of a call whose client sets none, in ms. */
  readonly defaultTimeoutMs: number;
  /** The longest time limit, in ms. Longer ones are shortened, not refused. */
  readonly maxTimeoutMs: number;
  /** Whether responses may be compressed. */
  readonly compressResponses: boolean;
}

/** A served method: its implementation and its rule. */
export interface ServedMethod {
  /** Such as `vehicle.v1.VehicleService/Lookup`. */
  readonly name: string;
  readonly spec: MethodImplSpec;
  readonly rule: MethodRule;
}

type Rules<Service extends DescService> = Readonly<Record<keyof Service["method"], MethodRule>>;

const KIB = 1024;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

const DEFAULTS = {
  maxRequestBytes: 4 * KIB,
  maxResponseBytes: 4 * KIB * KIB,
  defaultTimeoutMs: 10 * SECOND_MS,
  maxTimeoutMs: 30 * SECOND_MS,
  compressResponses: true,
};

const vehicleRules: Rules<typeof VehicleService> = {
  lookup: { ...DEFAULTS, scope: "lookup" },
  batchLookup: {
    ...DEFAULTS,
    scope: "lookup",
    // A larger batch is refused before any lookup, but costs as much as the largest one, because all of it was read.
    costOf: (request) =>
      isMessage(request, BatchLookupRequestSchema)
        ? Math.min(request.vins.length + request.queries.length, MAX_BATCH_VINS)
        : 1,
    maxRequestBytes: 256 * KIB,
    defaultTimeoutMs: 5 * MINUTE_MS,
    maxTimeoutMs: 5 * MINUTE_MS,
  },
  remove: {
    ...DEFAULTS,
    scope: "remove",
    isAudited: true,
    vinOf: (request) => (isMessage(request, RemoveRequestSchema) ? request.vin : undefined),
  },
  export: {
    ...DEFAULTS,
    scope: "export",
    isAudited: true,
    defaultTimeoutMs: 10 * MINUTE_MS,
    maxTimeoutMs: 10 * MINUTE_MS,
    // Parquet is already compressed.
    compressResponses: false,
  },
};

const healthRules: Rules<typeof Health> = {
  check: { ...DEFAULTS, scope: "open" },
  list: { ...DEFAULTS, scope: "open" },
  // Clients watch for as long as they are connected.
  watch: {
    ...DEFAULTS,
    scope: "open",
    maxOpenWithoutToken: 64,
    isBackground: true,
    defaultTimeoutMs: Infinity,
    maxTimeoutMs: Infinity,
  },
};

const reflectionRules: Rules<typeof ServerReflection> = {
  serverReflectionInfo: {
    ...DEFAULTS,
    scope: "any",
    maxOpenWithoutToken: 64,
    isBackground: true,
    defaultTimeoutMs: MINUTE_MS,
    maxTimeoutMs: MINUTE_MS,
  },
};

/** The one table of method rules, by service and by the method's name in code. */
export const METHOD_RULES: Readonly<Record<string, Readonly<Record<string, MethodRule>>>> = {
  [VehicleService.typeName]: vehicleRules,
  [Health.typeName]: healthRules,
  [ServerReflection.typeName]: reflectionRules,
  [ServerReflectionAlpha.typeName]: reflectionRules,
};

/**
 * The methods of services with their rules.
 *
 * @throws Error when a method has no rule: it must not be served
 */
export function servedMethods(services: readonly ServiceImplSpec[], rules = METHOD_RULES): ServedMethod[] {
  return services.flatMap(({ methods }) =>
    Object.values(methods).map((spec) => ({
      name: methodName(spec.method),
      spec,
      rule: ruleOf(spec.method, rules),
    })),
  );
}

/** A method's name in metrics and logs, such as `vehicle.v1.VehicleService/Lookup`. */
function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

function ruleOf(method: DescMethod, rules: typeof METHOD_RULES): MethodRule {
  const ofService = rules[method.parent.typeName] ?? {};
  const rule = Object.hasOwn(ofService, method.localName) ? ofService[method.localName] : undefined;
  if (rule === undefined) {
    throw new Error(`${methodName(method)} has no rule; add one to the table`);
  }
  return rule;
}
