import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { createServiceImplSpec } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { Health, HealthCheckResponse_ServingStatus } from "#gen/health/v1/health_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LoadShedder } from "../../src/access/load-shedder.ts";
import { createOverloadRefusal } from "../../src/rpc/overload-refusal.ts";
import type { RunningListener } from "../../src/server/running-listener.ts";
import { startGrpcServer } from "../../src/server/grpc-server.ts";
import { MemoryLogger } from "../support/memory-logger.ts";

const shedder = new LoadShedder({ random: () => 0, alwaysAdmitted: 0 });
const logger = new MemoryLogger();
let server: RunningListener;

beforeAll(async () => {
  server = await startGrpcServer({
    host: "127.0.0.1",
    port: 0,
    services: [createServiceImplSpec<typeof VehicleService>(VehicleService, { lookup: ({ vin }) => ({ vin }) })],
    interceptors: [],
    logger,
    refuseEarly: createOverloadRefusal(shedder, logger),
  });
});

afterAll(() => server[Symbol.asyncDispose]());

/** Makes the shedder believe that the event loop has been late for a second while calls came. */
function overload(): void {
  for (let look = 0; look < 10; look++) {
    shedder.refuses();
    shedder.observe(100);
  }
}

test("a call is refused early with its code and details, health is not, and both are answered afterwards", async () => {
  const transport = createGrpcTransport({ baseUrl: `http://${server.address}` });
  const vehicles = createClient(VehicleService, transport);
  const before = await vehicles.lookup({ vin: "1" });
  overload();

  const refused = await vehicles.lookup({ vin: "2" }).catch((error: unknown) => ConnectError.from(error));
  const health = await createClient(Health, transport).check({});
  for (let look = 0; look < 100; look++) {
    shedder.observe(0);
  }
  const after = await vehicles.lookup({ vin: "3" });

  expect([before.vin, after.vin]).toEqual(["1", "3"]);
  expect(health.status).toBe(HealthCheckResponse_ServingStatus.SERVING);
  expect(refused).toMatchObject({ code: Code.ResourceExhausted });
  const details = refused instanceof ConnectError ? refused : raise();
  expect(details.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "OVERLOADED" }]);
  expect(details.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
});

function raise(): never {
  throw new Error("not refused");
}
