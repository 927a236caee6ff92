import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { BadRequestSchema, ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Source, View } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

const [VIN = "", SLOW_VIN = "", ...OTHERS] = manyVins(300);
const UNKNOWN_VIN = "11111111111111111";

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp({
    vpic: {
      facts: { [UNKNOWN_VIN]: { Make: "", Model: "", ModelYear: "", ErrorCode: "7", ErrorText: "7 - not registered" } },
      respondWith: ({ vins }) => (vins.includes(SLOW_VIN) ? { kind: "silence" } : undefined),
    },
  });
});

afterAll(async () => {
  await app[Symbol.asyncDispose]();
});

async function errorOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => Promise.reject(new Error("the call succeeded")),
    (error: unknown) => ConnectError.from(error),
  );
}

describe.each(["grpc", "grpc-web", "connect"] as const)("connect-node with %s", (protocol) => {
  test("looks up, compressed with gzip both ways", async () => {
    const client = clientOf(app, protocol);
    await client.remove({ vin: VIN });

    const decoded = await client.lookup({ vin: VIN, view: View.FULL });
    const cached = await client.lookup({ vin: VIN, view: View.FULL });

    expect(decoded).toMatchObject({ vin: VIN, cached: false, stale: false, source: Source.VPIC });
    expect(cached).toEqual({ ...decoded, cached: true });
    expect(Object.keys(decoded.attributes).length).toBeGreaterThan(5);
  });

  test("reads the details of an error back", async () => {
    const error = await errorOf(clientOf(app, protocol).lookup({ vin: "1XPWD40XIED215307" }));

    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(BadRequestSchema)).toMatchObject([
      {
        fieldViolations: [
          { field: "vin", description: '"I" at position 9 is not allowed in a VIN; 1 is likely meant' },
        ],
      },
    ]);
    expect(error.metadata.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("is told that a VIN cannot be decoded", async () => {
    const error = await errorOf(clientOf(app, protocol).lookup({ vin: UNKNOWN_VIN }));

    expect(error.code).toBe(Code.NotFound);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "VIN_NOT_DECODED", metadata: { codes: "7" } }]);
  });

  test("gets its deadline kept", async () => {
    const startedAt = performance.now();
    const error = await errorOf(clientOf(app, protocol).lookup({ vin: SLOW_VIN }, { timeoutMs: 300 }));

    expect([Code.DeadlineExceeded, Code.Unavailable]).toContain(error.code);
    expect(performance.now() - startedAt).toBeLessThan(600);
  });

  test("can cancel", async () => {
    const caller = new AbortController();

    const call = errorOf(clientOf(app, protocol).lookup({ vin: SLOW_VIN }, { signal: caller.signal }));
    caller.abort();

    expect((await call).code).toBe(Code.Canceled);
  });

  test("looks up a batch as a stream", async () => {
    const vins = [VIN, "nonsense", ...OTHERS];

    const answers = await Array.fromAsync(clientOf(app, protocol).batchLookup({ vins }));

    expect(answers.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual([...vins.keys()]);
    expect(answers.filter(({ result }) => result.case === "error")).toMatchObject([
      { index: 1, vin: "nonsense", result: { value: { code: Code.InvalidArgument } } },
    ]);
  });

  test("can leave a stream, which the log tells", async () => {
    app.logger.lines.length = 0;
    const caller = new AbortController();

    const answers = clientOf(app, protocol).batchLookup({ vins: [VIN, SLOW_VIN] }, { signal: caller.signal });
    const reading = errorOf(
      (async () => {
        for await (const { index } of answers) {
          expect(index).toBe(0);
          caller.abort();
        }
      })(),
    );

    expect((await reading).code).toBe(Code.Canceled);
    await vi.waitFor(() =>
      expect(app.logger.lines).toContainEqual({
        level: "debug",
        message: "call ended",
        fields: expect.objectContaining({ procedure: "vehicle.v1.VehicleService/BatchLookup", code: "Canceled" }),
      }),
    );
  });
});
