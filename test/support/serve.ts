import type { ServiceImpl } from "@connectrpc/connect";
import { createServiceImplSpec } from "@connectrpc/connect";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import type { Call } from "../../src/rpc/call.ts";
import { preparedRefusal } from "../../src/rpc/describe-error.ts";
import { createGate, createInterceptors } from "../../src/rpc/interceptors.ts";
import type { MethodRule, ServedMethod } from "../../src/rpc/methods.ts";
import { METHOD_RULES, servedMethods } from "../../src/rpc/methods.ts";
import { createReflectionHandlers } from "../../src/rpc/reflection.ts";
import type { CallHost } from "../../src/server/served-call.ts";
import type { ConnectionLimits } from "../../src/server/connection-gate.ts";
import { ConnectionGate } from "../../src/server/connection-gate.ts";
import type { PlainRoutes } from "../../src/server/router.ts";
import type { ServerOptions } from "../../src/server/server.ts";
import { Server } from "../../src/server/server.ts";
import { MemoryLogger } from "./memory-logger.ts";
import { someTokens, TOKENS_NOW } from "./some-tokens.ts";

/** A test's handlers. Missing ones are unimplemented. */
export type VehicleHandlers = Partial<ServiceImpl<typeof VehicleService>>;

type Passed = Pick<ServerOptions, "tls" | "origins" | "isOwnHost" | "maxCalls" | "limits">;

export interface ServeOptions extends Passed {
  readonly handlers?: VehicleHandlers;
  /** Deviations from the rules of all methods of VehicleService. */
  readonly rule?: Partial<MethodRule>;
  readonly plain?: PlainRoutes | ((host: CallHost, methods: readonly ServedMethod[]) => PlainRoutes);
  readonly connections?: Partial<ConnectionLimits>;
  /** Whether callers need one of {@link someTokens}. Default: they do not. */
  readonly hasTokens?: boolean;
  /** How many calls a caller may make in all. Default: no limit. */
  readonly burst?: number;
  readonly logger?: MemoryLogger;
}

/** A server in this process, on a free port of loopback. */
export interface Served extends AsyncDisposable {
  readonly server: Server;
  readonly address: string;
  readonly port: number;
  readonly logger: MemoryLogger;
  readonly gate: ConnectionGate;
  /** Calls whose headers have arrived. */
  readonly started: Call[];
  /** Calls that have ended. */
  readonly ended: Call[];
  /** Ends everything that would be overdue after this time in ms: deadlines, slow requests and slow readers. */
  endOverdueIn(ms: number): void;
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
  limits,
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
    strangers: limiter(),
    now: () => TOKENS_NOW,
  });
  const gate = new ConnectionGate({ limits: connections, logger });
  const started: Call[] = [];
  const ended: Call[] = [];
  let aheadMs = 0;
  // Only one check runs ahead of time. The deadlines of later calls must not have passed.
  const now = (): number => {
    const ms = performance.now() + aheadMs;
    aheadMs = 0;
    return ms;
  };
  const server = new Server({
    methods,
    interceptors: createInterceptors({ guard, logger }),
    gate: createGate({ guard, logger }),
    overloaded: preparedRefusal({ reason: "OVERLOADED", retryAfterMs: 1_000 }),
    connections: gate,
    logger,
    plain: (host) => (typeof plain === "function" ? plain(host, methods) : plain),
    onCallStart: (call) => void started.push(call),
    onCallEnd: (call) => void ended.push(call),
    limits: { ...limits, watch: { now, ...limits?.watch } },
    ...passed,
  });
  const address = await server.listen("HTTP_PORT", "127.0.0.1", 0);
  return {
    server,
    address,
    port: Number(address.split(":")[1]),
    logger,
    gate,
    started,
    ended,
    endOverdueIn: (ms) => void (aheadMs = ms),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function withDeviations(rule: Partial<MethodRule>): typeof METHOD_RULES {
  const usual = METHOD_RULES[VehicleService.typeName] ?? {};
  const deviating = Object.fromEntries(Object.entries(usual).map(([name, each]) => [name, { ...each, ...rule }]));
  return { ...METHOD_RULES, [VehicleService.typeName]: deviating };
}
