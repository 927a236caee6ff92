import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { LookupResponse, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { VehicleExports } from "../export/vehicle-exports.ts";
import type { Logger } from "../telemetry/logger.ts";
import { toFault, tracedRequest } from "../telemetry/request-context.ts";
import { lookupBatch } from "../vehicle/batch-lookup.ts";
import { VinNotDecodedError } from "../vehicle/errors.ts";
import type { SourceName, VehicleQuery, View } from "../vehicle/vehicle.ts";
import type {
  LookupPart,
  LookupRequest,
  LookupResult,
  PartListener,
  VehicleLookup,
} from "../vehicle/vehicle-lookup.ts";
import type { Vin } from "../vehicle/vin.ts";
import { parseVin } from "../vehicle/vin.ts";
import type { Call, LookupNotes } from "./call.ts";
import { callOf } from "./call.ts";
import { parseBatch, parseMaxAge, parseQuery, parseView } from "./request-fields.ts";
import { toBatchLookupResponse, toExportMetadata, toLookupResponse } from "./vehicle-messages.ts";

/** The dependencies of the handlers. */
export interface VehicleHandlersOptions {
  readonly lookup: VehicleLookup;
  readonly exports: VehicleExports;
  readonly logger: Logger;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
  /** Called with the outcome of each VIN, including malformed ones and those in batches. */
  readonly onLookup?: (result: LookupOutcome, source: SourceName | "none") => void;
}

/** The outcome of a lookup, for metrics. */
export type LookupOutcome = "fresh" | "stale" | "decoded" | "not_decoded" | "failed";

/** Counts the outcome of each VIN, for metrics. */
export interface LookupCounter {
  readonly countResult: (result: LookupResult) => void;
  readonly countError: (error: unknown) => void;
}

/** Creates a counter that reports to the metrics. */
export function createLookupCounter(
  onLookup: (outcome: LookupOutcome, source: SourceName | "none") => void,
): LookupCounter {
  return {
    countResult: (result) => onLookup(outcomeOf(result), result.vehicle.source),
    countError: (error) => onLookup(error instanceof VinNotDecodedError ? "not_decoded" : "failed", "none"),
  };
}

/** Creates the handlers of the RPCs, shared by all protocols. */
export function createVehicleHandlers({
  lookup,
  exports,
  logger,
  now,
  onLookup = () => {},
}: VehicleHandlersOptions): ServiceImpl<typeof VehicleService> {
  const { countResult, countError } = createLookupCounter(onLookup);
  const toResponse = (result: LookupResult, view: View): LookupResponse => {
    countResult(result);
    return toLookupResponse(result, view);
  };
  const fail = (error: unknown): never => {
    countError(error);
    throw error;
  };
  return {
    // Not an async function: an answer that is ready costs no promise.
    lookup(request, { values }) {
      try {
        const view = parseView(request.view);
        const query = parseQuery(request, now());
        const maxAgeMs = parseMaxAge(request.maxAge);

        const asked = new CallLookup(callOf(values), query, view, maxAgeMs);

        const result = lookup.lookup(asked);

        return result instanceof Promise
          ? result.then((ready) => toResponse(asked.noteResult(ready), view), fail)
          : toResponse(asked.noteResult(result), view);
      } catch (error) {
        return fail(error);
      }
    },

    async *batchLookup(request, context) {
      const view = parseView(request.view);
      const maxAgeMs = parseMaxAge(request.maxAge);
      const { size, queryAt, vinAt } = parseBatch(request, now());

      const answers = lookupBatch(lookup, {
        size,
        queryAt,
        view,
        maxAgeMs,
        timeoutMs: callOf(context.values).timeoutMs(),
        signal: context.signal,
        onPart: partListenerOf(),
      });

      const rowOptions = {
        view,
        withDetails: canCarryAny(context),
        errorContext: {
          requestId: callOf(context.values).id,
          procedure: callOf(context.values).method.name,
          logger,
        },
      };
      for await (const answer of answers) {
        if ("result" in answer) {
          countResult(answer.result);
        } else {
          countError(answer.error);
        }
        yield toBatchLookupResponse(answer, vinAt(answer.index), rowOptions);
      }
    },

    async remove(request) {
      const vin = parseVin(request.vin);

      const removed = await lookup.remove(vin);

      return { vin, removed };
    },

    async *export(_request, { values, signal }) {
      const { caller, address } = callOf(values);
      await using file = await exports.create(caller?.name ?? address, signal);

      yield { part: { case: "metadata", value: toExportMetadata(file) } };
      for await (const data of file.read()) {
        yield { part: { case: "data", value: data } };
      }
    },
  };
}

/** The lookup of one call. Its signal and its time left are computed on demand: a fresh hit needs neither. */
class CallLookup implements LookupRequest, LookupNotes {
  readonly query: VehicleQuery;
  readonly view: View;
  readonly maxAgeMs: number | undefined;
  readonly waitedMs: Partial<Record<LookupPart, number>> = {};
  result: LookupResult | undefined;
  readonly #call: Call;

  constructor(call: Call, query: VehicleQuery, view: View, maxAgeMs: number | undefined) {
    this.#call = call;
    this.query = query;
    this.view = view;
    this.maxAgeMs = maxAgeMs;
    call.lookup = this;
  }

  get vin(): Vin {
    return this.query.vin;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get timeoutMs(): number {
    return this.#call.timeoutMs();
  }

  onPart(part: LookupPart, startedAt: number, error?: unknown): void {
    this.waitedMs[part] = (this.waitedMs[part] ?? 0) + performance.now() - startedAt;
    if (this.#call.traced !== undefined) {
      partListenerOf(this.#call.traced)?.(part, startedAt, error);
    }
  }

  noteResult(result: LookupResult): LookupResult {
    this.result = result;
    return result;
  }
}

/** Adds the parts of lookups to a call that is traced. Default: the one on whose behalf this code runs. */
export function partListenerOf(traced = tracedRequest()): PartListener | undefined {
  return (
    traced &&
    ((name, startedAt, error) =>
      traced.addPart({ name, startedAt, fault: error === undefined ? undefined : toFault(error) }))
  );
}

function outcomeOf({ cached, stale }: LookupResult): LookupOutcome {
  if (stale) {
    return "stale";
  }
  return cached ? "fresh" : "decoded";
}

/**
 * Whether the rows of a call may contain google.protobuf.Any. Not in JSON: a client that does not know the type inside,
 * and by default none does, fails at the first one and loses the whole batch.
 */
function canCarryAny({ requestHeader }: HandlerContext): boolean {
  return !/json/i.test(requestHeader.get("content-type") ?? "");
}
