import { type DescMessage, type DescMethod, fromBinary, fromJson, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { anyUnpack, MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";

import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#gen/google/rpc/status_pb.ts";

import type { WireAnswer, WireRequest } from "./wire.ts";

/** `ok`, `not served`, or a code and the reason in its ErrorInfo, such as `Unauthenticated TOKEN_MISSING`. */
export type Outcome = string;

/** How a call is written and its answer read. */
interface WireProtocol {
  /** Without the caller's own headers. */
  write(method: DescMethod, message: JsonObject): WireRequest;
  read(answer: WireAnswer, method: DescMethod): Outcome;
}

const NOT_SERVED = new Set([404, 405, 415, 505]);
const TRAILERS = 0x80;
const END_OF_STREAM = 0x02;

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encode(schema: DescMessage, message: JsonObject): Buffer {
  return Buffer.from(toBinary(schema, fromJson(schema, message)));
}

/** A flag, the length and the message. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

/** The content of the first frame with the flag. */
function frameWith(flag: number, body: Buffer): string | undefined {
  for (let at = 0; at + 5 <= body.byteLength; at += 5 + body.readUInt32BE(at + 1)) {
    if ((body.readUInt8(at) & flag) !== 0) {
      return body.subarray(at + 5, at + 5 + body.readUInt32BE(at + 1)).toString();
    }
  }
  return undefined;
}

function ofStatus(status: string | undefined, details: string | undefined): Outcome {
  if (status === "0") {
    return "ok";
  }
  const bytes = Buffer.from(details ?? "", "base64");
  const [info] = fromBinary(StatusSchema, bytes).details.flatMap((any) => anyUnpack(any, ErrorInfoSchema) ?? []);
  return `${Code[Number(status)]} ${info?.reason}`;
}

interface ConnectFault {
  readonly code: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

function ofFault({ code, details = [] }: ConnectFault): Outcome {
  const info = details.find(({ type }) => type === ErrorInfoSchema.typeName);
  const reason = fromBinary(ErrorInfoSchema, Buffer.from(info?.value ?? "", "base64")).reason;
  return `${code.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())} ${reason}`;
}

function parse(json: string): ConnectFault & { readonly error?: ConnectFault } {
  return JSON.parse(json);
}

/** Whether an endless answer has begun. */
function isBegun({ name }: DescMethod, body: Buffer): boolean {
  return name === "Watch" && body.byteLength > 0;
}

function readConnect({ status, body }: WireAnswer, method: DescMethod): Outcome {
  if (NOT_SERVED.has(status)) {
    return "not served";
  }
  if (method.methodKind === "unary") {
    return status === 200 ? "ok" : ofFault(parse(body.toString()));
  }
  const end = frameWith(END_OF_STREAM, body);
  if (end === undefined) {
    return isBegun(method, body) ? "ok" : `no end, and the status ${status}`;
  }
  const { error } = parse(end);
  return error === undefined ? "ok" : ofFault(error);
}

const grpc: WireProtocol = {
  write: (method, message) => ({
    method: "POST",
    path: pathOf(method),
    headers: { "content-type": "application/grpc+proto", te: "trailers" },
    body: frame(encode(method.input, message)),
    isEndless: method.name === "Watch",
  }),
  read: ({ status, headers, body }, method) => {
    if (NOT_SERVED.has(status) || headers["grpc-status"] === String(Code.Unimplemented)) {
      return "not served";
    }
    return isBegun(method, body)
      ? "ok"
      : ofStatus(headers["grpc-status"]?.toString(), headers["grpc-status-details-bin"]?.toString());
  },
};

const grpcWeb: WireProtocol = {
  write: (method, message) => ({
    ...grpc.write(method, message),
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
  }),
  read: ({ status, headers, body }, method) => {
    if (NOT_SERVED.has(status)) {
      return "not served";
    }
    const end = frameWith(TRAILERS, body);
    if (end === undefined && isBegun(method, body)) {
      return "ok";
    }
    const trailers = new Headers();
    for (const line of (end ?? "").split("\r\n").filter((each) => each.includes(":"))) {
      trailers.append(line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1));
    }
    return ofStatus(
      trailers.get("grpc-status") ?? headers["grpc-status"]?.toString(),
      trailers.get("grpc-status-details-bin") ?? headers["grpc-status-details-bin"]?.toString(),
    );
  },
};

const connect: WireProtocol = {
  write: (method, message) => {
    const json = Buffer.from(JSON.stringify(message));
    const isUnary = method.methodKind === "unary";
    return {
      method: "POST",
      path: pathOf(method),
      headers: {
        "content-type": isUnary ? "application/json" : "application/connect+json",
        "connect-protocol-version": "1",
      },
      body: isUnary ? json : frame(json),
      isEndless: method.name === "Watch",
    };
  },
  read: readConnect,
};

const connectGet: WireProtocol = {
  write: (method, message) => {
    const query = new URLSearchParams({ connect: "v1", encoding: "json", message: JSON.stringify(message) });
    return { method: "GET", path: `${pathOf(method)}?${query.toString()}`, headers: {}, body: Buffer.alloc(0) };
  },
  read: readConnect,
};

/** Every protocol that the service speaks. */
export const PROTOCOLS = {
  gRPC: grpc,
  "gRPC-Web": grpcWeb,
  Connect: connect,
  "Connect by GET": connectGet,
};

/** Whether a method may be called by GET. */
export function isServedByGet({ methodKind, idempotency }: DescMethod): boolean {
  return methodKind === "unary" && idempotency === IdempotencyLevel.NO_SIDE_EFFECTS;
}
