import { createServiceImplSpec } from "@connectrpc/connect";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { createCallInterceptor } from "../../../src/rpc/call-interceptor.ts";
import { startGrpcServer } from "../../../src/server/grpc/grpc-server.ts";
import { startHttpServer } from "../../../src/server/http/http-server.ts";
import { sendText } from "../../../src/server/http/routes.ts";
import type { Addresses } from "../../support/clients.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";

/** Both listeners as they are, before a Lookup that never answers. */
export async function startHangingService(): Promise<Addresses & AsyncDisposable & { readonly logger: MemoryLogger }> {
  await using starting = new AsyncDisposableStack();
  const logger = new MemoryLogger();
  const mount = {
    host: "127.0.0.1",
    port: 0,
    services: [createServiceImplSpec<typeof VehicleService>(VehicleService, { lookup: () => new Promise(() => {}) })],
    interceptors: [createCallInterceptor(logger)],
    logger,
  };
  const grpc = starting.use(await startGrpcServer(mount));
  const http = starting.use(
    await startHttpServer({
      ...mount,
      handlers: { "GET /": (_request, response) => sendText(response, 200, "nothing") },
    }),
  );
  const running = starting.move();
  return {
    grpcAddress: grpc.address,
    httpAddress: http.address,
    logger,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
