import type { ServiceImpl } from "@connectrpc/connect";
import type { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { callerKey } from "../../src/rpc/caller.ts";
import { parseVin } from "../../src/vehicle/vin.ts";

/** The service's methods with nothing behind them, for tests of what stands before them. */
export class StubVehicleService {
  /** The calls that have reached a handler, each with its caller. */
  readonly calls: { readonly method: string; readonly caller: string }[] = [];
  readonly handlers: ServiceImpl<typeof VehicleService>;

  constructor() {
    const { calls } = this;
    this.handlers = {
      lookup({ vin }, { values }) {
        calls.push({ method: "Lookup", caller: values.get(callerKey) });
        return { vin: parseVin(vin) };
      },
      async *batchLookup({ vins }, { values }) {
        calls.push({ method: "BatchLookup", caller: values.get(callerKey) });
        yield* vins.map((vin, index) => ({ index, vin }));
      },
      remove({ vin }, { values }) {
        calls.push({ method: "Remove", caller: values.get(callerKey) });
        return { vin: parseVin(vin), removed: true };
      },
      async *export(_request, { values }) {
        calls.push({ method: "Export", caller: values.get(callerKey) });
        yield { part: { case: "data" as const, value: new Uint8Array(1) } };
        yield { part: { case: "data" as const, value: new Uint8Array(2) } };
      },
    };
  }
}
