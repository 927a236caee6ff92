import type { MethodImplSpec, ServiceImpl } from "@connectrpc/connect";
import { createServiceImplSpec } from "@connectrpc/connect";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import type { Call } from "../../src/rpc/call.ts";
import { preparedRefusal } from "../../src/rpc/describe-error.ts";
import { createGate, createInterceptors } from "../../src/rpc/interceptors.ts";
import type { MethodRule, ServedMethod } from "../../src/rpc/methods.ts";
import { ConnectionGate } from "../../src/server/connection-gate.ts";
import type { ServerOptions } from "../../src/server/server.ts";
import { Server } from "../../src/server/server.ts";
import { MemoryLogger } from "./memory-logger.ts";

/** Needs no token, and gives a call more time than a test has. */
export const OPEN_RULE: MethodRule = {
  scope: "open",
  maxRequestBytes: 4 * 1_024,
  maxResponseBytes: 4 * 1_024 * 1_024,
  defaultTimeoutMs: 600_000,
  maxTimeoutMs: 600_000,
  compressResponses: true,
};

/** A method with a rule of its own. Default: {@link OPEN_RULE}. */
export function serve(spec: MethodImplSpec, rule: Partial<MethodRule> = {}): ServedMethod {
  return { name: `${spec.method.parent.typeName}/${spec.method.name}`, spec, rule: { ...OPEN_RULE, ...rule } };
}

/** VehicleService with a test's own handlers. Missing ones are unimplemented. */
export function serveVehicles(
  handlers: Partial<ServiceImpl<typeof VehicleService>>,
  rule: Partial<MethodRule> = {},
): ServedMethod[] {
  const { methods } = createServiceImplSpec<typeof VehicleService>(VehicleService, handlers);
  return Object.values(methods).map((spec) => serve(spec, rule));
}

/** A server in this process, on a free port of loopback. */
export interface TestServer extends AsyncDisposable {
  readonly server: Server;
  /** `host:port`. */
  readonly address: string;
  readonly logger: MemoryLogger;
  /** Calls whose headers have arrived. */
  readonly started: Call[];
  /** Calls that have ended, in the order of their ends. */
  readonly ended: Call[];
  /** Resolves when this many calls have ended since the start. */
  whenEnded(calls: number): Promise<void>;
  /** Ends everything that would be overdue after this time in ms: deadlines, slow requests and slow readers. */
  endOverdueIn(ms: number): void;
}

/** Starts the service's own server with a test's methods: no tokens, no rates, no limit of connections. */
export async function startTestServer(
  methods: readonly ServedMethod[],
  { logger = new MemoryLogger(), ...options }: Partial<ServerOptions> & { readonly logger?: MemoryLogger } = {},
): Promise<TestServer> {
  const started: Call[] = [];
  const ended: Call[] = [];
  const waiting = new Set<() => void>();
  let aheadMs = 0;
  // Only one check uses the later time, so that the deadlines of later calls have not passed.
  const now = (): number => {
    const ms = performance.now() + aheadMs;
    aheadMs = 0;
    return ms;
  };
  const unlimited = { maxOpen: Infinity, maxOpenPerAddress: Infinity, maxNewPerAddress: Infinity };
  const limiter = new RateLimiter({ perSecond: 1_000_000, burst: 1_000_000 });
  const guard = new AccessGuard({ tokens: undefined, limiter, anonymous: limiter });
  const server = new Server({
    methods,
    interceptors: createInterceptors({ guard, logger }),
    gate: createGate({ guard, logger }),
    overloaded: preparedRefusal({ reason: "OVERLOADED", retryAfterMs: 1_000 }),
    connections: new ConnectionGate({ limits: unlimited, logger }),
    ...options,
    limits: { ...options.limits, watch: { now, ...options.limits?.watch } },
    logger,
    onCallStart(call) {
      started.push(call);
      options.onCallStart?.(call);
    },
    onCallEnd(call) {
      ended.push(call);
      options.onCallEnd?.(call);
      waiting.forEach((check) => check());
    },
  });
  const address = await server.listen("TEST_PORT", "127.0.0.1", 0);
  return {
    server,
    address,
    logger,
    started,
    ended,
    async whenEnded(calls) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const check = (): void => {
        if (ended.length >= calls) {
          resolve();
        }
      };
      waiting.add(check);
      check();
      await promise;
      waiting.delete(check);
    },
    endOverdueIn: (ms) => void (aheadMs = ms),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
