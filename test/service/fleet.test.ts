import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { Source, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { createSharedDatabase } from "../support/shared.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { startTestApp } from "../support/test-app.ts";
import { someVins } from "../support/vehicle-samples.ts";

test.each(["sqlite", "postgres"])("services that share a cache in %s ask vPIC for each VIN once", async (kind) => {
  await using directory = await temporaryDirectory();
  await using vpic = await startFakeVpic();
  const databaseUrl =
    kind === "sqlite" ? `sqlite:${directory.path}/vehicles.db` : await createSharedDatabase("service_fleet");
  const env = { DATABASE_URL: databaseUrl, VPIC_URL: vpic.url };
  await using services = new AsyncDisposableStack();
  const apps = [services.use(await startTestApp({ env })), services.use(await startTestApp({ env }))];
  const clients = apps.map(({ grpcAddress }) =>
    createClient(VehicleService, createGrpcTransport({ baseUrl: `http://${grpcAddress}` })),
  );
  const vins = someVins(60);

  const answers = await Promise.all(
    clients.flatMap((client) => vins.map((vin) => client.lookup({ vin }, { timeoutMs: 30_000 }))),
  );

  const asked = vpic.requests.flatMap((request) => request.vins);
  expect(asked.toSorted()).toEqual(vins);
  expect(new Set(answers.map(({ source }) => source))).toEqual(new Set([Source.VPIC]));
});
