import { createServiceImplSpec } from "@connectrpc/connect";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { ReflectingServer } from "./start-server.ts";
import { startServer } from "./start-server.ts";
import type { TlsOnDisk } from "../support/tls-on-disk.ts";

/** VehicleService with handlers that answer a Remove, and nothing else: a Lookup hangs, and so does a batch at its second VIN. */
export function startStubService(tls?: TlsOnDisk): Promise<ReflectingServer> {
  const forever = new Promise<never>(() => {});
  return startServer({
    tls,
    services: [
      createServiceImplSpec<typeof VehicleService>(VehicleService, {
        lookup: () => forever,
        async *batchLookup({ vins: [vin = ""] }) {
          yield { vin };
          yield await forever;
        },
        remove: ({ vin }) => ({ vin, removed: true }),
      }),
    ],
  });
}
