import { createServiceImplSpec, type Interceptor, type ServiceImpl } from "@connectrpc/connect";

import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import type { MethodLimits } from "../../src/server/limits/call-limits.ts";
import { type GrpcServerOptions, startGrpcServer } from "../../src/server/grpc/grpc-server.ts";
import type { HttpHandlers } from "../../src/server/http/routes.ts";
import { type HttpServerOptions, startHttpServer } from "../../src/server/http/http-server.ts";
import type { RunningListener } from "../../src/server/running-listener.ts";
import { MemoryLogger } from "./memory-logger.ts";

/** What a test's handlers do; those it leaves out are unimplemented. */
export type EchoHandlers = Partial<ServiceImpl<typeof VehicleService>>;

interface EchoOptions {
  readonly interceptors?: readonly Interceptor[];
  readonly limits?: MethodLimits;
  readonly log?: MemoryLogger;
  readonly contextValues?: GrpcServerOptions["contextValues"];
}

/** What both listeners need. */
type Basis = Pick<GrpcServerOptions, "host" | "port" | "services" | "interceptors" | "logger">;

/** A gRPC listener on a free port of loopback with a test's own handlers. */
export async function startEchoGrpc(
  handlers: EchoHandlers,
  options: EchoOptions & Partial<GrpcServerOptions> = {},
): Promise<RunningListener> {
  return await startGrpcServer({ ...basis(handlers, options), ...options });
}

/** An HTTP listener on a free port of loopback with a test's own handlers. */
export async function startEchoHttp(
  handlers: EchoHandlers,
  options: EchoOptions & Partial<HttpServerOptions> = {},
  plain: HttpHandlers = {},
): Promise<RunningListener> {
  return await startHttpServer({ ...basis(handlers, options), handlers: plain, ...options });
}

function basis(handlers: EchoHandlers, options: EchoOptions): Basis {
  return {
    host: "127.0.0.1",
    port: 0,
    services: [createServiceImplSpec<typeof VehicleService>(VehicleService, handlers)],
    interceptors: options.interceptors ?? [],
    logger: options.log ?? new MemoryLogger(),
  };
}
