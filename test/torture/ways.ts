import type { Client } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { ProtocolOverHttp } from "../support/clients.ts";
import { callHeaders, data, grpcMessage, headers, OPENING } from "../support/http2-frames.ts";

/** A vehicle that is in the cache of every target. */
export const CACHED_VIN = "1XPWD40X1ED215307";

/** A protocol over a version of HTTP. */
export interface Way extends ProtocolOverHttp {
  /** Whether attacks use TLS. */
  readonly isSecured: boolean;
}

export const GRPC: Way = { protocol: "gRPC", http: "2", isSecured: false };
export const CONNECT: Way = { protocol: "Connect", http: "1.1", isSecured: false };
export const WAYS: readonly Way[] = [
  GRPC,
  CONNECT,
  { protocol: "gRPC-Web", http: "1.1", isSecured: false },
  { protocol: "gRPC-Web", http: "2", isSecured: true },
  { protocol: "Connect", http: "2", isSecured: true },
];

/** The longest time limit of a Lookup, so that none times out on a busy machine. */
const TIMEOUT_S = 30;

export type Method = "Lookup" | "BatchLookup";

export function nameOf({ protocol, http, isSecured }: Way): string {
  return `${protocol} over HTTP/${http}${isSecured ? " with TLS" : ""}`;
}

export function pathOf(method: Method): string {
  return `/vehicle.v1.VehicleService/${method}`;
}

/** Unary requests of Connect over HTTP/1.1 are JSON, as those of curl. */
export function contentTypeOf({ protocol, http }: Way, method: Method): string {
  const unary = http === "1.1" ? "application/json" : "application/proto";
  const connect = method === "Lookup" ? unary : "application/connect+proto";
  return { gRPC: "application/grpc", "gRPC-Web": "application/grpc-web+proto", Connect: connect }[protocol];
}

/** Only unary requests of Connect have none. */
export function hasEnvelope({ protocol }: Way, method: Method): boolean {
  return protocol !== "Connect" || method === "BatchLookup";
}

/** The body of a request for the vehicle in the cache. Blanks make the VIN, which both methods have first, longer. */
export function bodyOf(way: Way, method: Method, vinBytes: number): Uint8Array {
  if (contentTypeOf(way, method) === "application/json") {
    return Buffer.from(JSON.stringify({ vin: CACHED_VIN.padEnd(vinBytes) }));
  }
  return hasEnvelope(way, method) ? grpcMessage(messageOf(vinBytes)) : messageOf(vinBytes);
}

export function messageOf(vinBytes: number): Uint8Array {
  const vin = Buffer.alloc(vinBytes, " ");
  vin.write(CACHED_VIN);
  return new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(vin).finish();
}

/**
 * The bytes of a whole connection with one call.
 *
 * @param host its characters have one byte each
 * @param inPieces whether the body is sent in frames or chunks of one byte
 */
export function callBytes(
  way: Way,
  method: Method,
  { host = "localhost", vinBytes = CACHED_VIN.length, inPieces = false } = {},
): Buffer {
  const body = Buffer.from(bodyOf(way, method, vinBytes));
  const pieces = inPieces ? Array.from(body, (byte) => Buffer.from([byte])) : [body];
  const type = contentTypeOf(way, method);
  if (way.http === "2") {
    const frames = pieces.map((piece, index) => data(1, piece, index === pieces.length - 1));
    return Buffer.concat([OPENING, headers(1, callHeaders(pathOf(method), host, `${TIMEOUT_S}S`, type)), ...frames]);
  }
  const chunks = pieces.map((piece) => `1\r\n${piece.toString("latin1")}\r\n`);
  const head =
    `POST ${pathOf(method)} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: ${type}\r\nConnection: close\r\n` +
    `Connect-Timeout-Ms: ${1_000 * TIMEOUT_S}\r\nGrpc-Timeout: ${TIMEOUT_S}S\r\n`;
  const rest = inPieces
    ? `Transfer-Encoding: chunked\r\n\r\n${chunks.join("")}0\r\n\r\n`
    : `Content-Length: ${body.byteLength}\r\n\r\n${body.toString("latin1")}`;
  return Buffer.from(head + rest, "latin1");
}

/** Whether a call with this VIN was answered, or else the name of the error's code. */
export async function outcomeOf(client: Client<typeof VehicleService>, method: Method, vin: string): Promise<string> {
  try {
    await (method === "Lookup" ? client.lookup({ vin }) : Array.fromAsync(client.batchLookup({ vins: [vin] })));
    return "answered";
  } catch (error) {
    return Code[ConnectError.from(error).code];
  }
}
