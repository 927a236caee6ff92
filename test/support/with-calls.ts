import type { Interceptor } from "@connectrpc/connect";
import { Call, contextValuesOf, requestIdOf } from "../../src/rpc/call.ts";
import type { CallInterceptor } from "../../src/rpc/interceptors.ts";
import { OPEN_RULE } from "./test-server.ts";

/** Gives each request a Call on in-memory transports, as the service's own transports do. */
export const withCalls: Interceptor = (next) => (request) => {
  const { method, service, header } = request;
  const impl = (): never => {
    throw new Error("the method is implemented elsewhere");
  };
  const call = new Call({
    method: {
      name: `${service.typeName}/${method.name}`,
      // The name is not used.
      spec: { kind: "unary", impl, method: { ...method, methodKind: "unary" } },
      rule: OPEN_RULE,
    },
    protocol: "connect",
    requestId: requestIdOf(header.get("x-request-id") ?? undefined),
    address: "127.0.0.1",
    authorization: undefined,
    timeoutMs: undefined,
  });
  return next({ ...request, contextValues: contextValuesOf(call) });
};

/** An interceptor of the service for in-memory transports. */
export function toConnectInterceptor(interceptor: CallInterceptor): Interceptor {
  return (next) => {
    const handle = interceptor(next);
    return async (request) => await handle(request);
  };
}
