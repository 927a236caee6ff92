import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

import type { ServiceImplSpec } from "@connectrpc/connect";
import { logVerbosity, ServerCredentials, type ServerOptions, setLogVerbosity } from "@grpc/grpc-js";

import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import { Health as HealthService } from "#gen/health/v1/health_pb.ts";

import { longestRequest } from "./call-limits.ts";
import { ConnectionGate, type ConnectionLimits } from "./connection-gate.ts";
import { ArrivalWatch } from "./grpc-arrival.ts";
import { createSocketListener } from "./grpc-sockets.ts";
import { mountService } from "./grpc-mount.ts";
import { destroyAll } from "./destroy-all.ts";
import { createGuardedServer } from "./guarded-server.ts";
import { Health } from "./health.ts";
import { onceHttp2 } from "./http2-preface.ts";
import { listen } from "./listen.ts";
import type { MountOptions } from "./mount-options.ts";
import { addReflection } from "./reflection.ts";
import type { TlsCertificates } from "./tls-certificates.ts";

export interface GrpcServerOptions extends MountOptions {
  /** The address to listen on, such as `127.0.0.1` or `::`. */
  readonly host: string;
  /** The port; 0 picks a free one. */
  readonly port: number;
  /**
   * Asked for every call of the services before anything is known of it. What it gives are the headers of a refusal:
   * `grpc-status` and whatever belongs to it.
   */
  readonly refuseEarly?: (() => Readonly<Record<string, string>> | undefined) | undefined;
  /** The services, as `createServiceImplSpec` gives them. Health and reflection are added. */
  readonly services: readonly ServiceImplSpec[];
  /** Deviations from the usual limits of connections. */
  readonly connections?: Partial<ConnectionLimits> | undefined;
  /** How long a connection may take to speak like an HTTP/2 client, in ms. Default: 5 s. */
  readonly prefaceTimeoutMs?: number | undefined;
  /** How long a request may take to arrive, in ms, give or take a second. Default: 15 s. */
  readonly arrivalTimeoutMs?: number | undefined;
  /** With it, the listener speaks TLS. */
  readonly tls?: TlsCertificates | undefined;
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

const connectionOptions: ServerOptions = {
  "grpc.max_concurrent_streams": 100,
  "grpc.max_connection_idle_ms": 120_000,
  // A ping resets idleness, so age is the bound that holds. The grace is that of the longest call, an Export.
  "grpc.max_connection_age_ms": 30 * 60_000,
  "grpc.max_connection_age_grace_ms": 10 * 60_000,
};

/**
 * Starts the gRPC listener: the services, health (Check, List and Watch) and reflection (v1 and v1alpha).
 *
 * @throws {ListenError} when the address cannot be had
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const services = options.services.map(({ service }) => service);
  // grpc-js would print headers that it cannot read, tokens among them.
  setLogVerbosity(logVerbosity.NONE);
  const arrivals = new ArrivalWatch(options.arrivalTimeoutMs ?? 15_000);
  const maxMessageBytes = longestRequest(
    services.flatMap((service) => service.methods),
    options.limits,
  );
  const ownPaths = new Set(
    services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `/${typeName}/${name}`)),
  );
  const server = createGuardedServer(
    { ...connectionOptions, "grpc.max_receive_message_length": maxMessageBytes },
    (stream, headers) => {
      const path = headers[":path"] ?? "";
      const refusal = ownPaths.has(path) ? options.refuseEarly?.() : undefined;
      if (refusal !== undefined) {
        refuse(stream, refusal);
        return true;
      }
      // Reflection is the one service whose clients may take their time to send more.
      if (!path.startsWith("/grpc.reflection.")) {
        arrivals.watch(stream);
      }
      return false;
    },
  );
  for (const service of options.services) {
    mountService(server, service, options);
  }
  const health = new Health(services.map((service) => service.typeName));
  health.addToServer(server);
  addReflection(server, [...services, HealthService], [file_google_rpc_error_details]);

  // Connections are accepted here, not in grpc-js, which has no limits for them.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const gate = new ConnectionGate(options.connections);
  const sockets = new Set<Socket>();
  /** Those that have not spoken HTTP/2 yet. */
  const strangers = new Set<Socket>();
  const listener = createSocketListener(options.tls, {
    admit(socket) {
      if (!gate.admit(socket)) {
        return;
      }
      sockets.add(socket);
      strangers.add(socket);
      socket.once("close", () => {
        sockets.delete(socket);
        strangers.delete(socket);
      });
    },
    open(socket, raw) {
      onceHttp2(socket, options.prefaceTimeoutMs ?? 5000, () => {
        strangers.delete(raw);
        injector.injectConnection(socket);
      });
    },
  });
  const address = await listen(listener, "gRPC", options.host, options.port);

  const drain = async (graceMs: number): Promise<void> => {
    health.stopServing();
    const closed = once(listener, "close");
    listener.close();
    destroyAll(strangers);
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
      destroyAll(sockets);
      arrivals[Symbol.dispose]();
      server.forceShutdown();
    },
  };
}

function refuse(stream: ServerHttp2Stream, headers: Readonly<Record<string, string>>): void {
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc", ...headers }, { endStream: true });
  // The request is not wanted any more.
  stream.resume();
}
