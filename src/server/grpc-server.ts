import { once } from "node:events";
import { createServer, type Socket } from "node:net";

import type { ServiceImplSpec } from "@connectrpc/connect";
import { Server, ServerCredentials, type ServerOptions } from "@grpc/grpc-js";

import { Health as HealthService } from "#gen/health/v1/health_pb.ts";

import { mountService } from "./grpc-mount.ts";
import { Health } from "./health.ts";
import { listen } from "./listen.ts";
import type { MountOptions } from "./mount-options.ts";
import { addReflection } from "./reflection.ts";

export interface GrpcServerOptions extends MountOptions {
  /** The address to listen on, such as `127.0.0.1` or `::`. */
  readonly host: string;
  /** The port; 0 picks a free one. */
  readonly port: number;
  /** The services, as `createServiceImplSpec` gives them. Health and reflection are added. */
  readonly services: readonly ServiceImplSpec[];
}

/** A gRPC listener that serves. Disposing it ends all calls at once; drain it first. */
export interface GrpcServer extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  /**
   * Reports NOT_SERVING, takes no more connections and calls, and lets running calls finish. Resolves when all are
   * done, or after the grace period, when the rest has been cut.
   */
  drain(graceMs: number): Promise<void>;
}

const channelOptions: ServerOptions = {
  "grpc.enable_channelz": 0,
  "grpc.max_concurrent_streams": 100,
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.max_connection_idle_ms": 120_000,
  "grpc.max_connection_age_ms": 30 * 60_000,
  "grpc.max_connection_age_grace_ms": 10 * 60_000,
};

/**
 * Starts the gRPC listener: the services, health (Check, List and Watch) and reflection (v1 and v1alpha).
 *
 * @throws {ListenError} when the address cannot be had
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const { services } = options;
  const server = new Server(channelOptions);
  for (const service of services) {
    mountService(server, service, options);
  }
  const health = new Health(services.map(({ service }) => service.typeName));
  health.addToServer(server);
  addReflection(server, [...services.map(({ service }) => service), HealthService]);

  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    injector.injectConnection(socket);
  });
  const address = await listen(listener, "gRPC", options.host, options.port);

  const drain = async (graceMs: number): Promise<void> => {
    health.stopServing();
    const closed = once(listener, "close");
    listener.close();
    injector.drain(graceMs);
    const cut = setTimeout(() => {
      destroyAll(sockets);
    }, graceMs);
    await closed;
    clearTimeout(cut);
  };
  return {
    address,
    drain,
    async [Symbol.asyncDispose]() {
      if (listener.listening) {
        await drain(0);
      }
      server.forceShutdown();
    },
  };
}

function destroyAll(sockets: Iterable<Socket>): void {
  for (const socket of sockets) {
    socket.destroy();
  }
}
