import { once } from "node:events";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  BatchLookupResponseSchema,
  ExportResponseSchema,
  VehicleService,
} from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { callOf } from "../../src/rpc/call.ts";
import { parseVin } from "../../src/vehicle/vin.ts";

/** The service's methods with simple handlers, for tests of everything before the handlers. */
export class StubVehicleService {
  /** The calls that have reached a handler, each with its caller. */
  readonly calls: { readonly method: string; readonly caller: string }[] = [];
  /** Whether exports pause after their first part until their caller has left. */
  exportsHang = false;
  /** Whether exports continue as long as their caller reads. */
  exportsGoOn = false;

  readonly handlers: ServiceImpl<typeof VehicleService> = {
    lookup: ({ vin }, context) => {
      this.#note(context);
      return { vin: parseVin(vin) };
    },
    batchLookup: ({ vins }, context) => this.#batchLookup(vins, context),
    remove: ({ vin }, context) => {
      this.#note(context);
      return { vin: parseVin(vin), removed: true };
    },
    export: (_request, context) => this.#export(context),
  };

  async *#batchLookup(
    vins: readonly string[],
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof BatchLookupResponseSchema>> {
    this.#note(context);
    yield* vins.map((vin, index) => ({ index, vin }));
  }

  async *#export(context: HandlerContext): AsyncGenerator<MessageInitShape<typeof ExportResponseSchema>> {
    const { signal } = context;
    this.#note(context);
    yield { part: { case: "data", value: new Uint8Array(1) } };
    if (this.exportsHang && !signal.aborted) {
      await once(signal, "abort");
      signal.throwIfAborted();
    }
    while (this.exportsGoOn) {
      signal.throwIfAborted();
      yield { part: { case: "data", value: new Uint8Array(65_536) } };
    }
    yield { part: { case: "data", value: new Uint8Array(2) } };
  }

  #note({ method, values }: Pick<HandlerContext, "method" | "values">): void {
    const { caller, address } = callOf(values);
    this.calls.push({ method: method.name, caller: caller?.name ?? address });
  }
}
