import { create } from "@bufbuild/protobuf";
import { LookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { ErrorContext } from "../rpc/describe-error.ts";
import { describeError } from "../rpc/describe-error.ts";
import { parseQuery } from "../rpc/request-fields.ts";
import type { LookupCounter } from "../rpc/vehicle-handlers.ts";
import { partListenerOf } from "../rpc/vehicle-handlers.ts";
import { toLookupResponse } from "../rpc/vehicle-messages.ts";
import { lookupBatch } from "../vehicle/batch-lookup.ts";
import type { VehicleLookup } from "../vehicle/vehicle-lookup.ts";
import type { Answer, Decoder } from "./decode-table.ts";

/** Decodes tables in this process. */
export function createLocalDecoder(lookup: VehicleLookup, errors: ErrorContext, counter?: LookupCounter): Decoder {
  return {
    async decode(queries, view, signal) {
      const answers: Answer[] = [];
      const now = Date.now();
      const batch = lookupBatch(lookup, {
        size: queries.length,
        queryAt: (index) => parseQuery(queries[index] ?? { vin: "" }, now),
        view,
        signal,
        onPart: partListenerOf(),
      });
      for await (const answer of batch) {
        if ("result" in answer) {
          counter?.countResult(answer.result);
          answers[answer.index] = { vehicle: create(LookupResponseSchema, toLookupResponse(answer.result, view)) };
        } else {
          counter?.countError(answer.error);
          answers[answer.index] = { fault: describeError(answer.error, errors).message };
        }
      }
      return answers;
    },
  };
}
