import type { DescMessage, JsonValue, MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

/** A google.rpc detail: a message, or already encoded. */
export type ErrorDetail = ConnectError["details"][number];
/** A detail that is not yet encoded. */
export type MessageDetail<Desc extends DescMessage = DescMessage> = {
  readonly desc: Desc;
  readonly value: MessageInitShape<Desc>;
};

/** Whether a detail is the ErrorInfo, which names the reason. */
export function isErrorInfo(each: ErrorDetail): each is MessageDetail<typeof ErrorInfoSchema> {
  return "desc" in each && each.desc.typeName === ErrorInfoSchema.typeName;
}

/** Creates the detail that names the reason of an error. */
export function errorInfo(reason: string, metadata: Record<string, string> = {}): MessageDetail {
  return detail(ErrorInfoSchema, { reason, domain: "vehicle.v1", metadata });
}

/** Creates the detail that says when a retry may succeed. */
export function retryInfo(retryAfterMs: number): MessageDetail {
  return detail(RetryInfoSchema, { retryDelay: durationFromMs(Math.ceil(retryAfterMs)) });
}

export function detail<Desc extends DescMessage>(desc: Desc, value: MessageInitShape<Desc>): MessageDetail<Desc> {
  return { desc, value };
}

export function typeNameOf(each: ErrorDetail): string {
  return "desc" in each ? each.desc.typeName : each.type;
}

/**
 * Encodes a detail. Connect's JSON repeats the message in `debug`, but omits it for details that are already encoded.
 */
export function encode(each: ErrorDetail): { type: string; value: Uint8Array; debug?: JsonValue } {
  if (!("desc" in each)) {
    return each;
  }
  const message = create(each.desc, each.value);
  return { type: each.desc.typeName, value: toBinary(each.desc, message), debug: toJson(each.desc, message) };
}
