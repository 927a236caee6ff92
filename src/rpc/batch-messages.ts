import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import type { StatusSchema } from "#gen/google/rpc/status_pb.ts";
import type { BatchLookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { BatchAnswer } from "../vehicle/batch-lookup.ts";
import type { View } from "../vehicle/vehicle.ts";
import type { ErrorContext } from "./error-table.ts";
import { toConnectError } from "./error-table.ts";
import { toLookupResponse } from "./vehicle-messages.ts";

/**
 * The message for one VIN of a batch.
 *
 * @param vin as the caller sent it.
 */
export function toBatchLookupResponse(
  answer: BatchAnswer,
  vin: string,
  view: View,
  context: ErrorContext,
): MessageInitShape<typeof BatchLookupResponseSchema> {
  const { index } = answer;
  return "result" in answer
    ? { index, vin, result: { case: "vehicle", value: toLookupResponse(answer.result, view) } }
    : { index, vin, result: { case: "error", value: toStatus(toConnectError(answer.error, context)) } };
}

function toStatus(error: ConnectError): MessageInitShape<typeof StatusSchema> {
  return { code: error.code, message: error.rawMessage, details: error.details.map(toAny) };
}

function toAny(detail: ConnectError["details"][number]): Any {
  return "desc" in detail
    ? anyPack(detail.desc, create(detail.desc, detail.value))
    : create(AnySchema, { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value });
}
