import { create, toBinary } from "@bufbuild/protobuf";

import { BatchLookupRequestSchema, LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { callHeaders, data, grpcMessage, headers, OPENING } from "../support/http2-frames.ts";

/** A vehicle that is in the cache of every target. */
export const CACHED_VIN = "1XPWD40X1ED215307";

export const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
export const EXPORT = "/vehicle.v1.VehicleService/Export";
export const BATCH_LOOKUP = "/vehicle.v1.VehicleService/BatchLookup";

export const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/** A LookupRequest for the vehicle in the cache. */
export const LOOKUP_MESSAGE = toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: CACHED_VIN }));

/** A LookupRequest of exactly this size in bytes. An unknown field fills it up. */
export function lookupMessageOf(byteLength: number): Buffer {
  return padded(LOOKUP_MESSAGE, byteLength);
}

/** A BatchLookupRequest of exactly this size in bytes. */
export function batchMessageOf(byteLength: number): Buffer {
  const request = create(BatchLookupRequestSchema, { vins: [CACHED_VIN] });
  return padded(toBinary(BatchLookupRequestSchema, request), byteLength);
}

/** A whole gRPC connection with one Lookup. */
export function grpcLookup(authority?: string | Uint8Array): Buffer {
  return http2Lookup(callHeaders(LOOKUP, authority));
}

/** The same for gRPC-Web over HTTP/2. */
export function grpcWebLookup(authority?: string | Uint8Array): Buffer {
  return http2Lookup(callHeaders(LOOKUP, authority, undefined, "application/grpc-web+proto"));
}

/** A whole HTTP/1.1 connection with one Lookup. */
export function httpLookup(host: string | Uint8Array = "localhost"): Buffer {
  const body = JSON.stringify({ vin: CACHED_VIN });
  return Buffer.concat([
    Buffer.from(`POST ${LOOKUP} HTTP/1.1\r\nHost: `),
    typeof host === "string" ? Buffer.from(host, "latin1") : Buffer.from(host),
    Buffer.from(
      "\r\nContent-Type: application/json\r\nConnect-Timeout-Ms: 2000\r\nConnection: close\r\n" +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    ),
  ]);
}

function http2Lookup(call: Buffer): Buffer {
  return Buffer.concat([OPENING, headers(1, call), data(1, grpcMessage(LOOKUP_MESSAGE), true)]);
}

function padded(message: Uint8Array, byteLength: number): Buffer {
  const tagBytes = 2;
  const lengthBytes = byteLength - message.byteLength - tagBytes <= 129 ? 1 : byteLength < 16_384 ? 2 : 3;
  const paddingBytes = byteLength - message.byteLength - tagBytes - lengthBytes;
  // Field 1000, length-delimited.
  const head = [0xc2, 0x3e];
  let left = paddingBytes;
  for (let byte = 1; byte < lengthBytes; byte++) {
    head.push((left % 128) | 0x80);
    left = Math.floor(left / 128);
  }
  head.push(left);
  return Buffer.concat([message, Buffer.from(head), Buffer.alloc(paddingBytes)]);
}
