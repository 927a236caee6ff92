import type { ServiceImplSpec } from "@connectrpc/connect";
import { createServiceImplSpec } from "@connectrpc/connect";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import type { Call } from "../../src/rpc/call.ts";
import { preparedRefusal } from "../../src/rpc/describe-error.ts";
import { createGate, createInterceptors } from "../../src/rpc/interceptors.ts";
import { METHOD_RULES, servedMethods } from "../../src/rpc/methods.ts";
import { createReflectionHandlers } from "../../src/rpc/reflection.ts";
import { ConnectionGate } from "../../src/server/connection-gate.ts";
import { answerText } from "../../src/server/exchange.ts";
import { Server } from "../../src/server/server.ts";
import type { Addresses } from "../support/clients.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import type { TlsOnDisk } from "../support/tls-on-disk.ts";

/** A server with services of a test's own and reflection, mounted as the real ones are, for callers without tokens. */
export interface TestServer extends Addresses, AsyncDisposable {
  /** Every call so far but those for reflection, in the order of arrival. */
  readonly calls: Call[];
  readonly logger: MemoryLogger;
}

export interface TestServerOptions {
  readonly services: readonly ServiceImplSpec[];
  /** Rules beside those of the real services. */
  readonly rules?: typeof METHOD_RULES;
  readonly tls?: TlsOnDisk | undefined;
}

/** Starts it on two free ports of loopback. */
export async function startServer({ services, rules, tls }: TestServerOptions): Promise<TestServer> {
  await using starting = new AsyncDisposableStack();
  const logger = new MemoryLogger();
  const calls: Call[] = [];
  const rates = { perSecond: 1_000_000, burst: 1_000_000 };
  const guard = new AccessGuard({
    tokens: undefined,
    limiter: new RateLimiter(rates),
    strangers: new RateLimiter(rates),
  });
  const reflection = createReflectionHandlers(services.map(({ service }) => service));
  const server = starting.use(
    new Server({
      methods: servedMethods(
        [...services, createServiceImplSpec<typeof ServerReflection>(ServerReflection, reflection.v1)],
        { ...METHOD_RULES, ...rules },
      ),
      interceptors: createInterceptors({ guard, logger }),
      gate: createGate({ guard, logger }),
      overloaded: preparedRefusal({ reason: "OVERLOADED", retryAfterMs: 1_000 }),
      connections: new ConnectionGate({ logger }),
      logger,
      tls: tls?.tls,
      onCallStart(call) {
        if (!call.method.name.startsWith(ServerReflection.typeName)) {
          calls.push(call);
        }
      },
      plain: () => ({ "GET /": { answer: (exchange) => answerText(exchange, 200, "a test's server") } }),
    }),
  );
  const grpcAddress = await server.listen("GRPC_PORT", "127.0.0.1", 0);
  const httpAddress = await server.listen("HTTP_PORT", "127.0.0.1", 0);
  const running = starting.move();
  return { grpcAddress, httpAddress, calls, logger, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
