import type { Interceptor } from "@connectrpc/connect";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { AccessGuard } from "../access/access-guard.ts";
import type { AuditLogger } from "../telemetry/logger.ts";
import { createAccessInterceptor } from "./access-interceptor.ts";
import { ACCESS_RULES } from "./access-rules.ts";
import { createAuditInterceptor } from "./audit-interceptor.ts";
import { createCallInterceptor } from "./call-interceptor.ts";

export interface InterceptorsOptions {
  readonly guard: AccessGuard;
  readonly logger: AuditLogger;
}

/** What stands around every call, the first one outermost: request id and errors, audit, access. */
export function createInterceptors({ guard, logger }: InterceptorsOptions): Interceptor[] {
  const access = { service: VehicleService, rules: ACCESS_RULES };
  return [
    createCallInterceptor(logger),
    createAuditInterceptor({ ...access, logger }),
    createAccessInterceptor({ ...access, guard }),
  ];
}
