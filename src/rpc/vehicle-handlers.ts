import type { ServiceImpl } from "@connectrpc/connect";
import type { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { VehicleExports } from "../export/vehicle-exports.ts";
import type { Logger } from "../telemetry/logger.ts";
import { lookupBatch } from "../vehicle/batch-lookup.ts";
import type { VehicleLookup } from "../vehicle/vehicle-lookup.ts";
import { parseVin } from "../vehicle/vin.ts";
import { toBatchLookupResponse } from "./batch-messages.ts";
import { requestIdKey } from "./call-interceptor.ts";
import { streamExport } from "./export-handler.ts";
import { checkBatchSize, parseMaxAge, parseModelYear, parseView } from "./request-fields.ts";
import { toLookupResponse } from "./vehicle-messages.ts";

/** What the handlers call. */
export interface VehicleHandlersOptions {
  readonly lookup: VehicleLookup;
  readonly exports: VehicleExports;
  readonly logger: Logger;
  /** Wall clock, ms since the epoch. */
  readonly now: () => number;
}

/** The RPCs, written once and mounted on every listener. */
export function createVehicleHandlers({
  lookup,
  exports,
  logger,
  now,
}: VehicleHandlersOptions): ServiceImpl<typeof VehicleService> {
  return {
    async lookup(request, context) {
      const view = parseView(request.view);
      const query = { vin: parseVin(request.vin), modelYear: parseModelYear(request.modelYear, now()) };
      const maxAgeMs = parseMaxAge(request.maxAge);

      const result = await lookup.lookup({
        query,
        view,
        maxAgeMs,
        timeoutMs: context.timeoutMs(),
        signal: context.signal,
      });

      return toLookupResponse(result, view);
    },

    async *batchLookup(request, context) {
      const view = parseView(request.view);
      const maxAgeMs = parseMaxAge(request.maxAge);
      const { vins } = request;
      checkBatchSize(vins.length);

      const answers = lookupBatch(lookup, {
        vins,
        view,
        maxAgeMs,
        timeoutMs: context.timeoutMs(),
        signal: context.signal,
      });

      const errorContext = {
        requestId: context.values.get(requestIdKey),
        procedure: `${context.service.typeName}/${context.method.name}`,
        logger,
      };
      for await (const answer of answers) {
        yield toBatchLookupResponse(answer, vins[answer.index] ?? "", view, errorContext);
      }
    },

    async remove(request) {
      const vin = parseVin(request.vin);

      const removed = await lookup.remove(vin);

      return { vin, removed };
    },

    export: (_request, context) => streamExport(exports, context),
  };
}
