import type { Socket } from "node:net";
import type { ConnectError } from "@connectrpc/connect";
import type { Call } from "../rpc/call.ts";
import type { CallInterceptor, Gate } from "../rpc/interceptors.ts";
import type { ServedMethod } from "../rpc/methods.ts";
import type { AuditLogger } from "../telemetry/logger.ts";
import type { CallHost, ServedCall } from "./served-call.ts";
import { CallQueue } from "./call-queue.ts";
import type { CallWatchOptions } from "./call-watch.ts";
import { CallWatch } from "./call-watch.ts";
import { ConnectServer } from "./connect.ts";
import type { ConnectionGate } from "./connection-gate.ts";
import type { AllowedOrigins } from "./cors.ts";
import { GrpcServer } from "./grpc.ts";
import { toRpcMethods } from "./handler.ts";
import type { Http1Limits } from "./http1.ts";
import { Listener } from "./listener.ts";
import type { PlainRoutes } from "./router.ts";
import { Router } from "./router.ts";
import type { SessionLifetime } from "./session.ts";
import type { TlsCertificates } from "./tls.ts";

export interface ServerOptions {
  readonly methods: readonly ServedMethod[];
  readonly interceptors: readonly CallInterceptor[];
  readonly gate: Gate;
  /** The error for a call that gets no slot or loses it. */
  readonly overloaded: ConnectError;
  /** Creates the plain HTTP routes, which may use the call host. Default: none. */
  readonly plain?: ((host: CallHost) => PlainRoutes) | undefined;
  readonly connections: ConnectionGate;
  readonly logger: AuditLogger;
  /** Maximum number of calls that run or wait. Default: 2,048. */
  readonly maxCalls?: number | undefined;
  readonly tls?: TlsCertificates | undefined;
  readonly origins?: AllowedOrigins | undefined;
  readonly isOwnHost?: ((host: string) => boolean) | undefined;
  readonly onCallStart?: ((call: Call) => void) | undefined;
  readonly onCallEnd?: ((call: Call) => void) | undefined;
  /** Overrides for limits, for tests. */
  readonly limits?: ServerLimits | undefined;
}

export interface ServerLimits {
  /** How long the queue starts and refuses calls before the event loop checks its sockets, in ms. Default: 8. */
  readonly turnMs?: number;
  readonly watch?: CallWatchOptions;
  readonly sessions?: Partial<SessionLifetime>;
  readonly http1?: Partial<Http1Limits>;
  readonly firstBytesMs?: number;
  readonly lookMs?: number;
}

/** The only server. Serves every method over every protocol, and plain HTTP, on all of its addresses. */
export class Server implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #queue: CallQueue;
  readonly #watch: CallWatch;
  readonly #background = new Set<ServedCall>();

  constructor(options: ServerOptions) {
    const { methods, interceptors, gate, overloaded, logger, limits = {} } = options;
    this.#queue = new CallQueue({ maxCalls: options.maxCalls, turnMs: limits.turnMs });
    this.#watch = new CallWatch(limits.watch);
    const host: CallHost = {
      gate,
      watch: this.#watch,
      background: this.#background,
      logger,
      methods,
      overloaded,
      onCallStart: options.onCallStart ?? ignore,
      onCallEnd: options.onCallEnd ?? ignore,
    };
    const rpcs = toRpcMethods(methods, interceptors);
    const router = new Router({
      grpc: new GrpcServer(rpcs, host),
      connect: new ConnectServer(rpcs, host),
      plain: options.plain?.(host) ?? {},
      watch: this.#watch,
      logger,
      origins: options.origins,
      isOwnHost: options.isOwnHost,
    });
    this.#listener = new Listener({
      requests: router,
      queue: this.#queue,
      gate: options.connections,
      tls: options.tls,
      sessions: limits.sessions,
      http1: limits.http1,
      firstBytesMs: limits.firstBytesMs,
      lookMs: limits.lookMs,
    });
  }

  /** The numbers of calls in flight and of refused calls, for metrics. */
  get calls(): Pick<CallQueue, "inFlight" | "refused"> {
    return this.#queue;
  }

  /** See {@link Listener.listen}. */
  listen(portName: string, host: string, port: number): Promise<string> {
    return this.#listener.listen(portName, host, port);
  }

  /** See {@link Listener.accept}. */
  accept(socket: Socket): void {
    this.#listener.accept(socket);
  }

  /** See {@link Listener.drain}. Background calls are ended at once. */
  drain(graceMs: number): Promise<void> {
    // Deferred, because some calls end by themselves, such as health watches. They may send a last message first.
    setImmediate(() => {
      for (const call of this.#background) {
        call.shutDown();
      }
    });
    return this.#listener.drain(graceMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]();
    this.#watch[Symbol.dispose]();
  }
}

function ignore(): void {}
