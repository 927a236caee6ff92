import type { DescService } from "@bufbuild/protobuf";
import type { Interceptor, StreamRequest, StreamResponse, UnaryRequest, UnaryResponse } from "@connectrpc/connect";
import type { AccessGuard, Caller } from "../access/access-guard.ts";
import { requireScope } from "../access/access-guard.ts";
import type { AccessRule } from "./access-rules.ts";
import { rulesByMethod } from "./access-rules.ts";
import { callerKey } from "./caller.ts";

export interface AccessOptions {
  /** The service whose methods are served. */
  readonly service: DescService;
  /** What each method asks, by its name in code. */
  readonly rules: Readonly<Record<string, AccessRule>>;
  readonly guard: AccessGuard;
}

type Next = ReturnType<Interceptor>;

/**
 * Lets nobody in without a token that allows what is asked, nor beyond its rate, and says in `callerKey` who it is.
 * Stands inside the call interceptor, which tells callers why they are refused.
 *
 * @throws Error when a method has no rule
 */
export function createAccessInterceptor({ service, rules, guard }: AccessOptions): Interceptor {
  const ruleOf = rulesByMethod(service.methods, rules);
  return (next) => async (request) => {
    const rule = ruleOf.get(request.method);
    if (rule === undefined) {
      throw new Error("a method without a rule of access is served");
    }
    const caller = guard.admit(request.header.get("authorization"), request.contextValues.get(callerKey));
    request.contextValues.set(callerKey, caller.name);
    requireScope(caller, rule.scope);
    return charge(request, next, guard, caller, rule);
  };
}

/** Charges what a request costs beyond the one unit of its admission, as soon as its message is there. */
function charge(
  request: UnaryRequest | StreamRequest,
  next: Next,
  guard: AccessGuard,
  caller: Caller,
  { costOf }: AccessRule,
): Promise<UnaryResponse | StreamResponse> {
  if (costOf === undefined) {
    return next(request);
  }
  if (!request.stream) {
    guard.charge(caller, costOf(request.message) - 1);
    return next(request);
  }
  const charging = async function* <T>(messages: AsyncIterable<T>): AsyncIterable<T> {
    for await (const message of messages) {
      guard.charge(caller, costOf(message) - 1);
      yield message;
    }
  };
  return next({ ...request, message: charging(request.message) });
}
