import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "#gen/health/v1/health_pb.ts";
import { clientOf, TRANSPORTS } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { startTestApp } from "../support/test-app.ts";

test("a service that is going to stop reports it, and accepts calls until the delay has passed", async () => {
  await using app = await startTestApp();
  const [vin = ""] = manyVins(1);
  await clientOf(app).lookup({ vin });
  const delay = Promise.withResolvers<void>();
  const readyz = async (): Promise<string> => (await fetch(`http://${app.httpAddress}/readyz`)).text();
  const before = await readyz();

  const drained = app.drain(60_000, delay.promise);
  const during = await readyz();
  const health = await createClient(Health, TRANSPORTS.grpc(app)).check({});
  const answer = await clientOf(app, "connect").lookup({ vin });
  delay.resolve();
  await drained;

  expect([before, during]).toEqual(["ready\n", "stopping\n"]);
  expect(health.status).toBe(ServingStatus.NOT_SERVING);
  expect(answer.vin).toBe(vin);
  expect((await errorOf(clientOf(app, "connect").lookup({ vin }))).message).toContain("ECONNREFUSED");
});
