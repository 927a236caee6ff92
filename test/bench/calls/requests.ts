import { create, toBinary } from "@bufbuild/protobuf";

import { LookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { checkDigit } from "../../../src/vehicle/check-digit.ts";
import { data, grpcMessage, headers, literal } from "../../support/http2-frames.ts";
import type { Target } from "./load.ts";
import { randomVehicle, type Spread } from "./spread.ts";

/** The vehicle that is in the cache from the beginning. */
export const CACHED_VIN = "1XPWD40X1ED215307";
export const LOOKUP_PATH = "/vehicle.v1.VehicleService/Lookup";
const BATCH_LOOKUP_PATH = "/vehicle.v1.VehicleService/BatchLookup";
const BATCH_ROWS = 5_000;
const SERIAL_DIGITS = 6;
const VIN_FRONT = "1XPWD40X1";
const VIN_DIGITS = 8;
/** The largest prime with so many digits: multiples of the step differ until then. */
const VIN_PRIME = 99_999_989;
const VIN_STEP = 61_803_398;
/** Every call has a deadline, late enough never to pass. */
const DEADLINE_S = 20;

/**
 * The bytes of a Lookup of the cached vehicle: a whole request of HTTP/1.1, or the HEADERS and DATA of stream 1.
 * HPACK's tables are not used, so that the bytes suit any connection.
 */
export function lookupBytes(target: Target): Buffer {
  return target.protocol === "Connect" ? connectLookup(target) : http2Lookup(target);
}

/** The bytes of a batch in which every VIN is malformed. */
export function malformedBatchBytes(target: Target): Buffer {
  const vins = Array.from({ length: BATCH_ROWS }, (_, row) => `NOT-A-VIN-${row}`);
  const message = Buffer.from(JSON.stringify({ vins }));
  return http1Request(target, BATCH_LOOKUP_PATH, "application/connect+json", grpcMessage(message));
}

/** Returns the bytes of one Lookup after another, each for a new vehicle. At most 1,000,000. */
export function newLookups(target: Target): () => Buffer {
  return lookupsOf(target, nextVin);
}

/** Returns the bytes of one Lookup after another, each for a random one of that many vehicles: see {@link vinAt}. */
export function randomLookups(target: Target, vehicles: number, spread: Spread): () => Buffer {
  return lookupsOf(target, () => vinAt(randomVehicle(vehicles, spread)));
}

/** The VIN of a vehicle by its number, from 0. VINs of successive vehicles are far apart. At most 90,000,000. */
export function vinAt(index: number): string {
  return `${VIN_FRONT}${String((index * VIN_STEP) % VIN_PRIME).padStart(VIN_DIGITS, "0")}`;
}

/** {@link vinAt} in the SQL of SQLite and PostgreSQL. */
export const VIN_AT_IN_SQL = (index: string): string =>
  `'${VIN_FRONT}' || substr(cast(${10 ** VIN_DIGITS} + (${index} * ${VIN_STEP}) % ${VIN_PRIME} as text), 2)`;

function lookupsOf(target: Target, next: () => string): () => Buffer {
  const template = lookupBytes(target);
  const start = template.lastIndexOf(CACHED_VIN);
  return () => {
    const bytes = Buffer.from(template);
    bytes.write(next(), start, "latin1");
    return bytes;
  };
}

/** The headers of every request, in the form of HTTP/2. */
export function headersOf({ protocol, token }: Target): Record<string, string> {
  return {
    ...(protocol === "gRPC" ? { te: "trailers" } : {}),
    ...(protocol === "Connect"
      ? { "connect-timeout-ms": String(1_000 * DEADLINE_S) }
      : { "grpc-timeout": `${DEADLINE_S}S` }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
}

export function contentTypeOf({ protocol }: Target): string {
  return {
    gRPC: "application/grpc+proto",
    "gRPC-Web": "application/grpc-web+proto",
    Connect: "application/json",
  }[protocol];
}

/** The body of a Lookup of the cached vehicle. */
export function lookupBody({ protocol }: Target): Buffer {
  return protocol === "Connect"
    ? Buffer.from(JSON.stringify({ vin: CACHED_VIN }))
    : grpcMessage(toBinary(LookupRequestSchema, create(LookupRequestSchema, { vin: CACHED_VIN })));
}

function http2Lookup(target: Target): Buffer {
  const block = {
    ":method": "POST",
    ":scheme": target.ca === undefined ? "http" : "https",
    ":path": LOOKUP_PATH,
    ":authority": target.address,
    "content-type": contentTypeOf(target),
    ...headersOf(target),
  };
  const encoded = Object.entries(block).map(([name, value]) => literal(name, value));
  return Buffer.concat([headers(1, Buffer.concat(encoded)), data(1, lookupBody(target), true)]);
}

function connectLookup(target: Target): Buffer {
  return http1Request(target, LOOKUP_PATH, contentTypeOf(target), lookupBody(target));
}

function http1Request(target: Target, path: string, contentType: string, body: Buffer): Buffer {
  const lines = Object.entries({
    host: target.address,
    "content-type": contentType,
    "content-length": String(body.byteLength),
    ...headersOf(target),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`), body]);
}

let serial = 0;

/** The cached vehicle's VIN with the next serial number and its check digit. */
function nextVin(): string {
  const digits = String(serial++ % 10 ** SERIAL_DIGITS).padStart(SERIAL_DIGITS, "0");
  const front = CACHED_VIN.slice(0, 8);
  const back = `${CACHED_VIN.slice(9, -SERIAL_DIGITS)}${digits}`;
  return `${front}${checkDigit(`${front}0${back}`)}${back}`;
}
