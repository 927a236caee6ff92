import type { IncomingMessage, ServerResponse } from "node:http";

import {
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
  type MethodImplSpec,
  type ServiceImplSpec,
} from "@connectrpc/connect";
import {
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";

import { REQUEST_ID_HEADER, requestIdOf } from "../rpc/request-id.ts";
import { type CallLimits, limitsOf, methodName } from "./call-limits.ts";
import { abandonWhenAborted } from "./http-abandon.ts";
import { applyDeadline } from "./http-deadline.ts";
import { canceledWhenGone } from "./http-gone.ts";
import { reportUnexpected } from "./http-errors.ts";
import { tellMalformedRequest } from "./http-malformed.ts";
import { watchReader } from "./http-stall.ts";
import type { MountOptions } from "./mount-options.ts";
import { discardRest, readBody } from "./request-body.ts";

/** Serves one method to Connect and gRPC-Web clients. Rejects when the response could not be written. */
export type RpcHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * The handlers of all methods by path, such as `/vehicle.v1.VehicleService/Lookup`.
 *
 * @throws {TypeError} when a service has a method whose client streams
 */
export function rpcHandlers(services: readonly ServiceImplSpec[], options: MountOptions): Map<string, RpcHandler> {
  const handlers = new Map<string, RpcHandler>();
  for (const service of services) {
    for (const spec of Object.values(service.methods)) {
      const limits = limitsOf(spec.method, options.limits);
      for (const handle of route(spec, limits, options).handlers) {
        handlers.set(handle.requestPath, async (request, response) => {
          // For what is left when the last piece has been handed over.
          response.setTimeout(limits.stallTimeoutMs, () => {
            // Silence is the client's fault only if it has something to read.
            if (response.writableLength > 0) {
              response.destroy();
            }
          });
          const values = options.contextValues?.({ address: request.socket.remoteAddress ?? "unknown" });
          const received = universalRequestFromNodeRequest(request, response, undefined, values);
          const universal = { ...received, signal: canceledWhenGone(received.signal) };
          applyDeadline(universal.header, limits);
          const answer = await tellMalformedRequest(await handle({ ...universal, body: readBody(request) }), {
            requestId: requestIdOf(received.header.get(REQUEST_ID_HEADER)),
            procedure: methodName(spec.method),
            logger: options.logger,
          });
          discardRest(request, response);
          const { body = [] } = answer;
          const watched = watchReader(body, limits.stallTimeoutMs, () => response.destroy());
          await universalResponseToNodeResponse({ ...answer, body: watched }, response);
        });
      }
    }
  }
  return handlers;
}

/** A router of its own for each method, since most of its options differ by method. */
function route(spec: MethodImplSpec, limits: CallLimits, { interceptors, logger, types }: MountOptions): ConnectRouter {
  const options: ConnectRouterOptions = {
    grpc: false,
    interceptors: [reportUnexpected(logger), ...interceptors, abandonWhenAborted],
    acceptCompression: [compressionGzip],
    ...(types === undefined ? {} : { jsonOptions: { registry: types } }),
    readMaxBytes: limits.maxRequestBytes,
    writeMaxBytes: limits.maxResponseBytes,
    ...(limits.compressResponses ? {} : { compressMinBytes: limits.maxResponseBytes }),
  };
  const router = createConnectRouter(options);
  if (spec.kind === "unary") {
    return router.rpc(spec.method, spec.impl);
  }
  if (spec.kind === "server_streaming") {
    return router.rpc(spec.method, spec.impl);
  }
  throw new TypeError(`${methodName(spec.method)}: methods whose client streams cannot be mounted`);
}
