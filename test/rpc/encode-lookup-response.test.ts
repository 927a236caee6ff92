import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  array,
  assert,
  bigInt,
  boolean,
  constant,
  constantFrom,
  dictionary,
  integer,
  nat,
  oneof,
  property,
  record,
  string,
} from "fast-check";
import { expect, test } from "vitest";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { encodeLookupResponse } from "../../src/rpc/encode-lookup-response.ts";

const text = oneof(string(), string({ unit: "binary" }), constant("x".repeat(128)), constant("\uD800"));
const verdict = record({
  codes: array(oneof(integer(), nat(20))),
  text,
  suggestedVin: text,
  possibleValues: text,
  additionalText: text,
  likelyVin: text,
});
const response = record(
  {
    vin: text,
    make: text,
    model: text,
    modelYear: text,
    bodyClass: text,
    cached: boolean(),
    stale: boolean(),
    source: constantFrom(Source.UNSPECIFIED, Source.VPIC, Source.SNAPSHOT),
    decodeTime: record({
      seconds: bigInt({ min: -62_135_596_800n, max: 253_402_300_799n }),
      nanos: nat(999_999_999),
    }),
    verdict,
    attributes: dictionary(text, text),
    dataDate: text,
  },
  { requiredKeys: [] },
);

test("the answer of a Lookup is encoded byte for byte as by protobuf-es, after the bytes left free", () => {
  assert(
    property(response, nat(8), (fields, room) => {
      const message = create(LookupResponseSchema, fields);

      const bytes = encodeLookupResponse(message, room).subarray(room);

      expect(bytes.equals(toBinary(LookupResponseSchema, message))).toBe(true);
      expect(() => fromBinary(LookupResponseSchema, bytes)).not.toThrow();
    }),
  );
});
