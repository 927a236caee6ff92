import type { ServiceImpl } from "@connectrpc/connect";
import { createServiceImplSpec } from "@connectrpc/connect";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { createGate, createInterceptors } from "../../src/rpc/interceptors.ts";
import type { MethodRule } from "../../src/rpc/methods.ts";
import { METHOD_RULES, servedMethods } from "../../src/rpc/methods.ts";
import { createReflectionHandlers } from "../../src/rpc/reflection.ts";
import type { CallHost } from "../../src/server/served-call.ts";
import type { ConnectionLimits } from "../../src/server/connection-gate.ts";
import { ConnectionGate } from "../../src/server/connection-gate.ts";
import { answerText } from "../../src/server/exchange.ts";
import type { PlainHandler } from "../../src/server/plain-call.ts";
import type { PlainRoutes } from "../../src/server/router.ts";
import type { ServerOptions } from "../../src/server/server.ts";
import { MemoryLogger } from "./memory-logger.ts";
import { someTokens, TOKENS_NOW } from "./some-tokens.ts";
import type { TestServer } from "./test-server.ts";
import { startTestServer } from "./test-server.ts";

/** The paths of methods. */
export const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
export const BATCH = "/vehicle.v1.VehicleService/BatchLookup";
export const REMOVE = "/vehicle.v1.VehicleService/Remove";
export const EXPORT = "/vehicle.v1.VehicleService/Export";
export const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/** A plain route. */
export const PING = {
  "GET /ping": { answer: (exchange) => answerText(exchange, 200, "pong") },
} satisfies PlainRoutes;

/** Plain routes that answer every path with the same function. */
export function answerAll(answer: PlainHandler["answer"]): PlainRoutes {
  return { "GET /*": { answer }, "POST /*": { answer } };
}

/** A test's handlers. Missing ones are unimplemented. */
export type VehicleHandlers = Partial<ServiceImpl<typeof VehicleService>>;

type Passed = Pick<ServerOptions, "tls" | "origins" | "isOwnHost" | "maxCalls" | "limits">;

export interface ServeOptions extends Passed {
  readonly handlers?: VehicleHandlers;
  /** Changes to the rules of all methods of VehicleService. */
  readonly rule?: Partial<MethodRule>;
  readonly plain?: PlainRoutes | ((host: CallHost) => PlainRoutes);
  readonly connections?: Partial<ConnectionLimits>;
  /** Whether callers need one of {@link someTokens}. Default: they do not. */
  readonly hasTokens?: boolean;
  /** How many calls a caller may make in all. Default: no limit. */
  readonly burst?: number;
  readonly logger?: MemoryLogger;
}

export interface Served extends TestServer {
  readonly port: number;
  readonly gate: ConnectionGate;
}

/** Starts the real server with a test's own handlers of VehicleService, reflection, and plain routes. */
export async function serve({
  handlers = {},
  rule = {},
  plain = {},
  connections = {},
  hasTokens = false,
  burst = Infinity,
  logger = new MemoryLogger(),
  ...passed
}: ServeOptions = {}): Promise<Served> {
  const methods = servedMethods(
    [
      createServiceImplSpec<typeof VehicleService>(VehicleService, handlers),
      createServiceImplSpec<typeof ServerReflection>(ServerReflection, createReflectionHandlers([VehicleService]).v1),
    ],
    withDeviations(rule),
  );
  const limiter = (): RateLimiter => new RateLimiter({ perSecond: 0.5, burst, now: () => 0 });
  const guard = new AccessGuard({
    tokens: hasTokens ? someTokens : undefined,
    limiter: limiter(),
    anonymous: limiter(),
    now: () => TOKENS_NOW,
  });
  const gate = new ConnectionGate({ limits: connections, logger });
  const running = await startTestServer(methods, {
    logger,
    interceptors: createInterceptors({ guard, logger }),
    gate: createGate({ guard, logger }),
    connections: gate,
    plain: (host) => (typeof plain === "function" ? plain(host) : plain),
    ...passed,
  });
  return { ...running, gate, port: Number(running.address.split(":")[1]) };
}

function withDeviations(rule: Partial<MethodRule>): typeof METHOD_RULES {
  const usual = METHOD_RULES[VehicleService.typeName] ?? {};
  const deviating = Object.fromEntries(Object.entries(usual).map(([name, each]) => [name, { ...each, ...rule }]));
  return { ...METHOD_RULES, [VehicleService.typeName]: deviating };
}
