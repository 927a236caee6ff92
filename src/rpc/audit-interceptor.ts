import type { DescService } from "@bufbuild/protobuf";
import type { Code, Interceptor, StreamResponse, UnaryResponse } from "@connectrpc/connect";
import { NotAdmittedError } from "../access/errors.ts";
import type { AuditLogger } from "../telemetry/logger.ts";
import type { AccessRule } from "./access-rules.ts";
import { rulesByMethod } from "./access-rules.ts";
import { writeAudit } from "./audit.ts";
import { requestIdKey } from "./call-interceptor.ts";
import { callerKey } from "./caller.ts";
import { codeOf } from "./error-table.ts";
import { watchEnd } from "./watch-end.ts";

export interface AuditOptions {
  readonly service: DescService;
  readonly rules: Readonly<Record<string, AccessRule>>;
  readonly logger: AuditLogger;
}

/**
 * Leaves an audit line at the end of every call whose rule asks for it. Calls that were not let in leave none, or
 * anybody could fill the log; those by a known caller without the scope do.
 *
 * Stands between the call interceptor, which gives the request its id, and the access interceptor, which says whose
 * call it is.
 */
export function createAuditInterceptor({ service, rules, logger }: AuditOptions): Interceptor {
  const ruleOf = rulesByMethod(service.methods, rules);
  return (next) => (request) => {
    const rule = ruleOf.get(request.method);
    if (rule?.isAudited !== true) {
      return next(request);
    }
    const vin = request.stream ? undefined : rule.vinOf?.(request.message);
    const end = (code: Code | undefined): void => {
      const { contextValues } = request;
      writeAudit(logger, {
        action: request.method.name,
        caller: contextValues.get(callerKey),
        vin,
        requestId: contextValues.get(requestIdKey),
        code,
      });
    };
    return audited(() => next(request), end);
  };
}

async function audited(
  run: () => Promise<UnaryResponse | StreamResponse>,
  end: (code: Code | undefined) => void,
): Promise<UnaryResponse | StreamResponse> {
  let response: UnaryResponse | StreamResponse;
  try {
    response = await run();
  } catch (error) {
    if (!(error instanceof NotAdmittedError)) {
      end(codeOf(error));
    }
    throw error;
  }
  if (response.stream) {
    return { ...response, message: watchEnd(response.message, end) };
  }
  end(undefined);
  return response;
}
