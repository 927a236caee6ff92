import { once } from "node:events";
import { createServer } from "node:http";
import type { ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { portOf } from "../support/port-of.ts";

/** A service that knows a make for every VIN. */
export interface VehiclesService extends AsyncDisposable {
  readonly address: string;
  /** Batches with this VIN are not answered. Default: all batches are answered. */
  answersUntil: string | undefined;
  /** Resolves when it receives the first batch that it does not answer. */
  readonly reached: Promise<void>;
}

/** @param batchLookup the handler. Default: one that knows every VIN. */
export async function serveVehicles(
  batchLookup?: ServiceImpl<typeof VehicleService>["batchLookup"],
): Promise<VehiclesService> {
  const reached = Promise.withResolvers<void>();
  const knowAll: ServiceImpl<typeof VehicleService>["batchLookup"] = async function* ({ queries }, { signal }) {
    if (queries.some(({ vin }) => vin === service.answersUntil)) {
      reached.resolve();
      await once(signal, "abort");
    }
    for (const [index, { vin }] of queries.entries()) {
      yield { index, vin, result: { case: "vehicle" as const, value: { vin, make: `make of ${vin}` } } };
    }
  };
  const server = createServer(
    connectNodeAdapter({ routes: (router) => router.rpc(VehicleService.method.batchLookup, batchLookup ?? knowAll) }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const service: VehiclesService = {
    address: `http://127.0.0.1:${portOf(server)}`,
    answersUntil: undefined,
    reached: reached.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return service;
}
