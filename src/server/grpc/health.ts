import type { Server, ServerWritableStream, UntypedHandleCall } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";

type Watch = ServerWritableStream<{ service: string }, { status: string }>;

/** grpc.health.v1 for a fixed set of services: SERVING until told otherwise. */
export class Health {
  readonly #services: readonly string[];
  readonly #implementation: HealthImplementation;
  readonly #watches = new Set<Watch>();

  /** @param services full names; the server as a whole, whose name is empty, comes in addition */
  constructor(services: readonly string[]) {
    this.#services = ["", ...services];
    this.#implementation = new HealthImplementation(
      Object.fromEntries(this.#services.map((service) => [service, "SERVING"])),
    );
  }

  addToServer(server: Server): void {
    this.#implementation.addToServer({
      addService: (definition, implementation) => {
        const { watch } = implementation;
        server.addService(definition, {
          ...implementation,
          watch: (call: Watch) => {
            this.#watch(call, watch ?? unsupported);
          },
        });
      },
    });
  }

  /** Tells everyone that no service serves any more, and ends all watches, which would hold up a drain for ever. */
  stopServing(): void {
    for (const service of this.#services) {
      this.#implementation.setStatus(service, "NOT_SERVING");
    }
    for (const call of this.#watches) {
      call.emit("error", { code: status.UNAVAILABLE, details: "the server is shutting down" });
    }
  }

  #watch(call: Watch, watch: UntypedHandleCall): void {
    this.#watches.add(call);
    call.on("cancelled", () => {
      this.#watches.delete(call);
    });
    if (this.#services.includes(call.request.service)) {
      Reflect.apply(watch, undefined, [call]);
    } else {
      // Not handed on: the implementation would keep an entry for every name that anyone makes up.
      call.write({ status: "SERVICE_UNKNOWN" });
    }
  }
}

function unsupported(call: Watch): void {
  call.emit("error", { code: status.UNIMPLEMENTED, details: "watching is not supported" });
}
