import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

/** @throws {ConnectError} RESOURCE_EXHAUSTED when the bytes are too many, INVALID_ARGUMENT when they are malformed */
export function decodeRequest<Desc extends DescMessage>(
  schema: Desc,
  bytes: Buffer,
  maxBytes: number,
): MessageShape<Desc> {
  if (bytes.byteLength > maxBytes) {
    throw new ConnectError(
      `the request has ${bytes.byteLength} bytes, at most ${maxBytes} are allowed`,
      Code.ResourceExhausted,
    );
  }
  try {
    return fromBinary(schema, bytes);
  } catch {
    throw new ConnectError(`the request is not a valid ${schema.typeName}`, Code.InvalidArgument);
  }
}

/** @throws {ConnectError} RESOURCE_EXHAUSTED when the bytes are too many */
export function encodeResponse<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  maxBytes: number,
): Buffer {
  const bytes = toBinary(schema, message);
  if (bytes.byteLength > maxBytes) {
    throw new ConnectError(
      `the response has ${bytes.byteLength} bytes, at most ${maxBytes} are allowed`,
      Code.ResourceExhausted,
    );
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
