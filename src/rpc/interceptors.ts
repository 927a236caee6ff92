import type { Interceptor } from "@connectrpc/connect";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { AccessGuard } from "../access/access-guard.ts";
import type { LoadShedder } from "../access/load-shedder.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createAccessInterceptor } from "./access-interceptor.ts";
import { ACCESS_RULES } from "./access-rules.ts";
import { createAuditInterceptor } from "./audit-interceptor.ts";
import { createCallInterceptor } from "./call-interceptor.ts";
import { createLoadInterceptor } from "./load-interceptor.ts";

export interface InterceptorsOptions {
  readonly guard: AccessGuard;
  /** Left out where overload is dealt with before. */
  readonly shedder?: LoadShedder | undefined;
  readonly logger: Logger;
}

/** What stands around every call, the first one outermost: request id and errors, load, audit, access. */
export function createInterceptors({ guard, shedder, logger }: InterceptorsOptions): Interceptor[] {
  const access = { service: VehicleService, rules: ACCESS_RULES };
  return [
    createCallInterceptor(logger),
    ...(shedder === undefined ? [] : [createLoadInterceptor(shedder)]),
    createAuditInterceptor({ ...access, logger }),
    createAccessInterceptor({ ...access, guard }),
  ];
}
