import { describe, expect, test } from "vitest";

import { limitsOf } from "../../../src/server/limits/call-limits.ts";
import { applyDeadline } from "../../../src/server/http/deadline.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

const limits = limitsOf(VehicleService.method.lookup);

describe("the deadline of an HTTP call", () => {
  test.each([
    ["application/proto", {}, "connect-timeout-ms", "10000"],
    ["application/proto", { "connect-timeout-ms": "250" }, "connect-timeout-ms", "250"],
    ["application/proto", { "connect-timeout-ms": "9999999999" }, "connect-timeout-ms", "30000"],
    ["application/proto", { "connect-timeout-ms": "soon" }, "connect-timeout-ms", "soon"],
    ["application/grpc-web", {}, "grpc-timeout", "10000m"],
    ["application/grpc-web", { "grpc-timeout": "2S" }, "grpc-timeout", "2000m"],
    ["application/grpc-web", { "grpc-timeout": "99999999H" }, "grpc-timeout", "30000m"],
    ["Application/grpc-web+json", {}, "grpc-timeout", "10000m"],
    ["application/GRPC-web", { "grpc-timeout": "99999999H" }, "grpc-timeout", "30000m"],
    ["application/grpc-web", { "grpc-timeout": "1500u" }, "grpc-timeout", "2m"],
    ["application/grpc-web", { "grpc-timeout": "5 S" }, "grpc-timeout", "5 S"],
  ])("%s with %o is %s: %s", (type, given, name, expected) => {
    const header = new Headers({ "content-type": type, ...given });

    applyDeadline(header, limits);

    expect(header.get(name)).toBe(expected);
  });
});
