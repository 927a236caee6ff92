import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import type { BatchLookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { BatchAnswer } from "../vehicle/batch-lookup.ts";
import type { View } from "../vehicle/vehicle.ts";
import type { ErrorContext } from "./describe-error.ts";
import { describeError } from "./describe-error.ts";
import type { ErrorDetail } from "./error-details.ts";
import { isErrorInfo } from "./error-details.ts";
import { toLookupResponse } from "./vehicle-messages.ts";

/** The options for all rows of a batch. */
export interface RowOptions {
  readonly view: View;
  /** Whether errors have details. */
  readonly withDetails: boolean;
  readonly errorContext: ErrorContext;
}

/**
 * Whether the rows of a call may contain google.protobuf.Any. Not in JSON: a client that does not know the type inside,
 * and by default none does, fails at the first one and loses the whole batch.
 */
export function canCarryAny({ requestHeader }: HandlerContext): boolean {
  return !/json/i.test(requestHeader.get("content-type") ?? "");
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
