import { readFile } from "node:fs/promises";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { ScopeMissingError } from "../../src/access/errors.ts";
import type { Refusal } from "../../src/access/access-guard.ts";
import { ExportLimitError, ExportStorageError } from "../../src/export/errors.ts";
import type { ErrorDescription } from "../../src/rpc/describe-error.ts";
import { describeError, isPreparedRefusal, preparedRefusal, toConnectError } from "../../src/rpc/describe-error.ts";
import { ERROR_TABLE } from "../../src/rpc/error-table.ts";
import {
  InvalidFieldError,
  NoSourceAvailableError,
  SourceUnavailableError,
  StoreUnavailableError,
  VinNotDecodedError,
} from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { MemoryLogger } from "../support/memory-logger.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const SECRET = "SELECT secret FROM /var/lib/vehicles.db";

function contextWith(logger = new MemoryLogger()) {
  return { requestId: "r-1", procedure: "vehicle.v1.VehicleService/Lookup", logger };
}

/** The details of one type, as a caller decodes them. */
function detailsOf<Desc extends DescMessage>({ details }: ErrorDescription, desc: Desc): MessageShape<Desc>[] {
  const error = new ConnectError("");
  error.details.push(...details);
  return error.findDetails(desc);
}

describe("the error table", () => {
  const notDecoded = new VinNotDecodedError(VIN, { codes: [7], text: "7 - Manufacturer is not registered" });

  test.each([
    [new InvalidFieldError("vin", "a VIN is required"), Code.InvalidArgument, 400, "vin: a VIN is required"],
    [
      notDecoded,
      Code.NotFound,
      404,
      `no source knows make, model or year of ${VIN}: 7 - Manufacturer is not registered`,
    ],
    [
      new NoSourceAvailableError(500),
      Code.Unavailable,
      503,
      "nothing is cached for this VIN and no source can answer now",
    ],
    [new StoreUnavailableError(SECRET), Code.Unavailable, 503, "the cache is unavailable; repeat the call later"],
    [new ExportLimitError("2 run", 500), Code.ResourceExhausted, 429, "too many exports are running"],
    [
      new ExportStorageError(SECRET),
      Code.Unavailable,
      507,
      "not enough disk space for an export; contact the operator",
    ],
    [
      new ScopeMissingError("export"),
      Code.PermissionDenied,
      403,
      'the token lacks the scope "export"; contact the operator',
    ],
    [new DOMException("", "AbortError"), Code.Canceled, 499, "the caller canceled the call"],
    [new DOMException("", "TimeoutError"), Code.DeadlineExceeded, 504, "the deadline has passed"],
  ])("has code, status over HTTP and message for %s", (error, code, httpStatus, message) => {
    const description = describeError(error, contextWith());

    expect(description).toMatchObject({ code, httpStatus, message });
  });

  test.each([
    [new InvalidFieldError("vin", "too short"), BadRequestSchema, { fieldViolations: [{ field: "vin" }] }],
    [notDecoded, ErrorInfoSchema, { reason: "VIN_NOT_DECODED", metadata: { vin: VIN, codes: "7" } }],
    [new ScopeMissingError("export"), ErrorInfoSchema, { reason: "SCOPE_MISSING", metadata: { scope: "export" } }],
    [new ExportStorageError(""), ErrorInfoSchema, { reason: "NO_ROOM_FOR_EXPORT", domain: "vehicle.v1" }],
    [new StoreUnavailableError(""), RetryInfoSchema, { retryDelay: { seconds: 1n } }],
  ])("says more of %s in a detail", (error, desc, content) => {
    const details = detailsOf(describeError(error, contextWith()), desc);

    expect(details).toMatchObject([content]);
  });

  test("tells clients when to retry, in RetryInfo, HTTP's header and gRPC's", () => {
    const description = describeError(new NoSourceAvailableError(2_999.5), contextWith());

    expect(detailsOf(description, RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 3n, nanos: 0 } }]);
    expect(description.metadata).toEqual({ "retry-after": "3", "grpc-retry-pushback-ms": "3000" });
  });

  test("tells clients not to retry a request that is too large", () => {
    const tooLarge = new ConnectError("message is larger than 4096 bytes", Code.ResourceExhausted);

    const description = describeError(tooLarge, contextWith());

    expect(description).toMatchObject({ reason: "MESSAGE_TOO_LARGE", message: "message is larger than 4096 bytes" });
    expect(description.metadata).toEqual({ "grpc-retry-pushback-ms": "-1" });
    expect(detailsOf(description, RetryInfoSchema)).toEqual([]);
  });

  test.each([
    [new ConnectError("bad timeout", Code.InvalidArgument), Code.InvalidArgument, "MALFORMED_REQUEST"],
    [new ConnectError("unknown compression", Code.Unimplemented), Code.Unimplemented, "UNSUPPORTED"],
    [new ConnectError("late", Code.DeadlineExceeded), Code.DeadlineExceeded, "DEADLINE_EXCEEDED"],
  ])("names the reason of %s", (error, code, reason) => {
    const description = describeError(error, contextWith());

    expect(description).toMatchObject({ code, reason });
    expect(detailsOf(description, ErrorInfoSchema)).toMatchObject([{ reason }]);
  });

  test("leaves an error with details unchanged", () => {
    const error = new ConnectError("own", Code.Unavailable, { "x-own": "1" }, [
      { desc: ErrorInfoSchema, value: { reason: "OWN" } },
    ]);

    const description = describeError(error, contextWith());

    expect(description).toMatchObject({ code: Code.Unavailable, message: "own", reason: "OWN", httpStatus: 503 });
    expect(description.metadata).toEqual({ "x-own": "1" });
    expect(description.details).toEqual(error.details);
  });

  test.each([
    ["an error", new Error(SECRET)],
    ["a fault of a source, which is not for callers", new SourceUnavailableError(SECRET)],
    ["another error with a reason", Object.assign(new Error(SECRET), { reason: "RATE_LIMITED" })],
    ["a value that is not an error", { message: SECRET }],
  ])("tells nothing of %s but one neutral sentence with the request id, and logs it once", (_what, error) => {
    const logger = new MemoryLogger();
    const context = contextWith(logger);

    const description = describeError(error, context);

    expect(description).toEqual({
      code: Code.Internal,
      reason: "INTERNAL",
      message: "internal error; quote request id r-1 when reporting it",
      details: [expect.objectContaining({ value: { reason: "INTERNAL", domain: "vehicle.v1", metadata: {} } })],
      metadata: {},
      httpStatus: 500,
    });
    expect(logger.lines).toEqual([
      {
        level: "error",
        message: "call failed",
        fields: { requestId: "r-1", procedure: context.procedure, err: error },
      },
    ]);
  });

  test("logs a full disk for the operator, and no other known error", () => {
    const logger = new MemoryLogger();
    const error = new ExportStorageError("/data has 3 MB left");

    describeError(error, contextWith(logger));
    describeError(new ExportLimitError("2 run", 500), contextWith(logger));

    expect(logger.lines).toMatchObject([{ level: "error", fields: { err: error } }]);
  });

  test("is in the documentation, every reason with its code", async () => {
    const page = await readFile(new URL("../../docs/errors.md", import.meta.url), "utf8");

    const rows = [...page.matchAll(/^\| ([A-Z_]+) \| (`[A-Z_]+`(?:, `[A-Z_]+`)*|BadRequest[^|]*) \|/gm)].flatMap(
      ([, code = "", reasons = ""]) =>
        reasons
          .split(", ")
          .map((reason) => `${reason.startsWith("B") ? "INVALID_FIELD" : reason.replaceAll("`", "")} ${code}`),
    );

    const table = Object.entries(ERROR_TABLE).map(([reason, { code }]) => `${reason} ${nameOf(code)}`);
    expect(rows.toSorted()).toEqual(table.toSorted());
  });
});

/** As gRPC spells it. */
function nameOf(code: Code): string {
  return code === Code.Canceled ? "CANCELLED" : Code[code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

describe("an error for Connect", () => {
  test("has the request id exactly once, however often it is converted", () => {
    const first = toConnectError(new InvalidFieldError("vin", "too short"), contextWith());

    const second = toConnectError(first, { ...contextWith(), requestId: "another" });

    expect(second).toBe(first);
    expect(second.findDetails(RequestInfoSchema)).toMatchObject([{ requestId: "r-1" }]);
  });

  test("has the content of its description", () => {
    const error = toConnectError(new NoSourceAvailableError(1_000), contextWith());

    expect(error.code).toBe(Code.Unavailable);
    expect(error.rawMessage).toBe("nothing is cached for this VIN and no source can answer now");
    expect(error.metadata.get("grpc-retry-pushback-ms")).toBe("1000");
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NO_SOURCE_AVAILABLE" }]);
  });
});

describe("a prepared refusal", () => {
  test.each([
    [{ reason: "TOKEN_MISSING", retryAfterMs: 0 }, Code.Unauthenticated, 401, { "www-authenticate": "Bearer" }],
    [{ reason: "TOKEN_UNKNOWN", retryAfterMs: 0 }, Code.Unauthenticated, 401, { "www-authenticate": "Bearer" }],
    [
      { reason: "RATE_LIMITED", retryAfterMs: 1 },
      Code.ResourceExhausted,
      429,
      { "retry-after": "1", "grpc-retry-pushback-ms": "1000" },
    ],
    [
      { reason: "OVERLOADED", retryAfterMs: 1_001 },
      Code.ResourceExhausted,
      429,
      { "retry-after": "2", "grpc-retry-pushback-ms": "2000" },
    ],
  ] satisfies [Refusal, Code, number, object][])(
    "of %j has code, status and headers",
    (refusal, code, status, headers) => {
      const error = preparedRefusal(refusal);

      expect(error.code).toBe(code);
      expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: refusal.reason, domain: "vehicle.v1" }]);
      expect(Object.fromEntries(error.metadata)).toEqual(headers);
      expect(describeError(error, contextWith())).toMatchObject({ reason: refusal.reason, httpStatus: status });
      expect(isPreparedRefusal(error)).toBe(true);
    },
  );

  test.each([
    ["the same second", 500, 1_000, true],
    ["the same minute", 61_000, 119_000, true],
    ["more than an hour", 3_601_000, 1e12, true],
    ["another second", 1_000, 1_001, false],
    ["another minute", 120_000, 120_001, false],
  ])("is the same object for %s of delay, and no other", (_which, oneMs, otherMs, isSame) => {
    const one = preparedRefusal({ reason: "RATE_LIMITED", retryAfterMs: oneMs });

    const other = preparedRefusal({ reason: "RATE_LIMITED", retryAfterMs: otherMs });

    expect(one === other).toBe(isSame);
  });

  test("is already encoded, and never changed for one call", () => {
    const error = preparedRefusal({ reason: "RATE_LIMITED", retryAfterMs: 5_000 });

    const same = toConnectError(error, contextWith());

    expect(same).toBe(error);
    expect(same.findDetails(RequestInfoSchema)).toEqual([]);
    const encoded = { value: expect.any(Uint8Array), debug: expect.anything() };
    expect(same.details).toEqual([
      { type: ErrorInfoSchema.typeName, ...encoded },
      { type: RetryInfoSchema.typeName, ...encoded },
    ]);
  });

  test("is not an error that handlers throw", () => {
    expect(isPreparedRefusal(new ConnectError("rate", Code.ResourceExhausted))).toBe(false);
    expect(isPreparedRefusal(new ScopeMissingError("export"))).toBe(false);
  });
});
