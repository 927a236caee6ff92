import { createServiceImplSpec } from "@connectrpc/connect";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { AccessGuard } from "../../src/access/access-guard.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";
import { createGate, createInterceptors } from "../../src/rpc/interceptors.ts";
import { servedMethods } from "../../src/rpc/methods.ts";
import type { ServerLimits, ServerOptions } from "../../src/server/server.ts";
import type { AuditLogger } from "../../src/telemetry/logger.ts";
import type { Addresses } from "./clients.ts";
import { MemoryLogger } from "./memory-logger.ts";
import { someTokens, TOKENS_NOW } from "./some-tokens.ts";
import { StubVehicleService } from "./stub-vehicle-service.ts";
import type { TestServer } from "./test-server.ts";
import { startTestServer } from "./test-server.ts";

export interface GuardedStubOptions extends Pick<Partial<ServerOptions>, "onCallStart" | "onCallEnd"> {
  /** Default: {@link someTokens}. */
  readonly tokens?: typeof someTokens | undefined;
  /** The burst of each caller, which refills by ten calls a second. Default: 1,000. */
  readonly burst?: number;
  /** Default: the server's. */
  readonly logger?: AuditLogger;
  readonly limits?: ServerLimits;
}

/** {@link StubVehicleService} under the service's own rules of access, rate and audit. */
export interface GuardedStub extends TestServer, Addresses {
  readonly service: StubVehicleService;
  /** Monotonic clock of the rates, ms. */
  readonly clock: { now: number };
}

export async function startGuardedStub(options: GuardedStubOptions = {}): Promise<GuardedStub> {
  const { burst = 1_000, logger: given, ...server } = options;
  const tokens = "tokens" in options ? options.tokens : someTokens;
  const service = new StubVehicleService();
  const clock = { now: 1_000 };
  const rates = { perSecond: 10, burst, now: () => clock.now };
  const guard = new AccessGuard({
    tokens,
    limiter: new RateLimiter(rates),
    anonymous: new RateLimiter(rates),
    now: () => TOKENS_NOW,
  });
  const logger = new MemoryLogger();
  const methods = servedMethods([createServiceImplSpec<typeof VehicleService>(VehicleService, service.handlers)]);
  const running = await startTestServer(methods, {
    ...server,
    logger,
    interceptors: createInterceptors({ guard, logger: given ?? logger }),
    gate: createGate({ guard, logger }),
  });
  return { ...running, grpcAddress: running.address, httpAddress: running.address, service, clock };
}
