import { constants, type ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";

import { logVerbosity, ServerCredentials, type ServerOptions, setLogVerbosity, status } from "@grpc/grpc-js";

import { file_google_rpc_error_details } from "#gen/google/rpc/error_details_pb.ts";
import { Health as HealthService } from "#gen/health/v1/health_pb.ts";

import type { GrpcAdmission } from "../../rpc/admission.ts";
import { longestRequest, stallTimeoutOf } from "../limits/call-limits.ts";
import { ConnectionGate } from "../limits/connection-gate.ts";
import { ArrivalWatch } from "../http2/arrival-watch.ts";
import { createSocketListener } from "./sockets.ts";
import { mountService } from "./mount.ts";
import { destroyAll } from "../destroy-all.ts";
import { admitStream } from "../limits/admit.ts";
import { refuseCall } from "../limits/refuse-stream.ts";
import { createGuardedServer } from "./guarded-server.ts";
import { Health } from "./health.ts";
import { offeredEncodings, refusesHeaders, watchRequest } from "./request-guard.ts";
import { onceHttp2 } from "./http2-preface.ts";
import { IncompleteRequests } from "../limits/incomplete-requests.ts";
import { listen } from "../listen.ts";
import type { ListenerOptions } from "../listener-options.ts";
import { nameAnswers } from "../http2/name-answers.ts";
import { addReflection } from "./reflection.ts";
import { ReflectionStreams } from "./reflection-streams.ts";
import { runListener, type RunningListener } from "../running-listener.ts";
import { UnreadAnswers } from "../limits/unread-answers.ts";
import { limitSession } from "../http2/sessions.ts";
import { cutHalfClosed } from "../linger.ts";
import { UnheardStreams } from "../http2/unheard-streams.ts";

export interface GrpcServerOptions extends ListenerOptions {
  /** Asked for all calls but those of health. Default: all may come in. */
  readonly admission?: GrpcAdmission | undefined;
  /** How long a connection may take to speak like an HTTP/2 client, in ms. Default: 5 s. */
  readonly prefaceTimeoutMs?: number | undefined;
}

const connectionOptions: ServerOptions = {
  "grpc.max_concurrent_streams": 100,
};

const REFLECTION = new Set(
  ["v1", "v1alpha"].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`),
);

const HEALTH_WATCH = "/grpc.health.v1.Health/Watch";

/** What is answered under overload, too. */
const ALWAYS_ADMITTED = /^\/grpc\.health\./;

/**
 * Starts the gRPC listener: the services, health (Check, List and Watch) and reflection (v1 and v1alpha). Health reports
 * NOT_SERVING from when it is drained.
 *
 * @throws {ListenError} when the address cannot be had
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<RunningListener> {
  const services = options.services.map(({ service }) => service);
  // grpc-js would print headers that it cannot read, tokens among them.
  setLogVerbosity(logVerbosity.NONE);
  const arrivals = new ArrivalWatch(options.arrivalTimeoutMs ?? 15_000, endLate);
  const maxMessageBytes = longestRequest(
    services.flatMap((service) => service.methods),
    options.limits,
  );
  const ownPaths = new Set(
    services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `/${typeName}/${name}`)),
  );
  const incomplete = options.incomplete ?? new IncompleteRequests();
  const unread = new UnreadAnswers();
  const unheard = new UnheardStreams();
  const server = createGuardedServer(
    { ...connectionOptions, "grpc.max_receive_message_length": maxMessageBytes },
    (stream, headers, begin) => {
      const path = headers[":path"] ?? "";
      const isOwn = ownPaths.has(path);
      admitStream(ALWAYS_ADMITTED.test(path) ? undefined : options.admission, stream, headers, () => {
        nameAnswers(stream, headers, offeredEncodings);
        if (refusesHeaders(stream, headers)) {
          return;
        }
        watchRequest(stream, incomplete);
        // Reflection is the one service whose clients may take their time to send more.
        const isReflection = REFLECTION.has(path);
        if (!isReflection) {
          arrivals.watch(stream);
        }
        // Calls of the services are watched where their deadlines are known; streams that may be quiet are not.
        if (!isOwn && !isReflection && path !== HEALTH_WATCH) {
          unread.watch(stream, { stallTimeoutMs: stallTimeoutOf(options.limits), isFinished: true });
        }
        begin();
      });
    },
    (session) => {
      unheard.watch(session);
      limitSession(session, options.sessions);
    },
  );
  for (const service of options.services) {
    mountService(server, service, options);
  }
  const reflections = new ReflectionStreams();
  const health = new Health(services.map((service) => service.typeName));
  health.addToServer(server);
  addReflection(server, [...services, HealthService], [file_google_rpc_error_details], reflections, options);

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
      cutHalfClosed(socket, options.lingerMs, () => raw.destroy());
      onceHttp2(socket, options.prefaceTimeoutMs ?? 5000, () => {
        strangers.delete(raw);
        injector.injectConnection(socket);
      });
    },
  });
  const address = await listen(listener, "gRPC", options.host, options.port);

  return runListener({
    address,
    server: listener,
    sockets,
    onDrain() {
      health.stopServing();
      reflections.endAll();
    },
    onStopped(graceMs) {
      destroyAll(strangers);
      injector.drain(graceMs);
    },
    onEnd() {
      arrivals[Symbol.dispose]();
      unheard[Symbol.dispose]();
      server.forceShutdown();
    },
  });
}

function endLate(stream: ServerHttp2Stream): void {
  if (!stream.destroyed && !stream.headersSent) {
    refuseCall(stream, status.DEADLINE_EXCEEDED, "the request did not arrive in time");
  }
  stream.close(constants.NGHTTP2_NO_ERROR);
}
