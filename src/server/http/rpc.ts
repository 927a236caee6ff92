import type { IncomingMessage, ServerResponse } from "node:http";

import {
  type ConnectError,
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

import { toConnectError } from "../../rpc/error-table.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "../../rpc/request-id.ts";
import { type CallLimits, limitsOf, methodName } from "../limits/call-limits.ts";
import { abandonWhenAborted } from "./abandon.ts";
import { arriveWithin } from "./arrival.ts";
import { cutAnswer } from "../limits/cut-answer.ts";
import { applyDeadline } from "./deadline.ts";
import { canceledWhenGone } from "./gone.ts";
import { reportUnexpected } from "./errors.ts";
import type { IncompleteRequests } from "../limits/incomplete-requests.ts";
import { refuseMalformedGet, tellMalformedRequest } from "./malformed.ts";
import { watchReader } from "./stall.ts";
import type { MountOptions } from "../mount-options.ts";
import { discardRest, readBody } from "./request-body.ts";
import { UnreadAnswers } from "../limits/unread-answers.ts";

/** Serves one method to Connect and gRPC-Web clients. Rejects when the response could not be written. */
export type RpcHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * The handlers of all methods by path, such as `/vehicle.v1.VehicleService/Lookup`.
 *
 * @throws {TypeError} when a service has a method whose client streams
 */
export function rpcHandlers(
  services: readonly ServiceImplSpec[],
  incomplete: IncompleteRequests,
  options: MountOptions,
): Map<string, RpcHandler> {
  const handlers = new Map<string, RpcHandler>();
  const unread = new UnreadAnswers();
  for (const service of services) {
    for (const spec of Object.values(service.methods)) {
      const limits = limitsOf(spec.method, options.limits);
      for (const handle of route(spec, limits, options).handlers) {
        handlers.set(handle.requestPath, async (request, response) => {
          const peer = { address: request.socket.remoteAddress ?? "unknown" };
          const values = options.contextValues?.(peer);
          const received = universalRequestFromNodeRequest(request, response, undefined, values);
          const universal = { ...received, signal: canceledWhenGone(received.signal) };
          const timeoutMs = applyDeadline(universal.header, limits);
          unread.watch(response, { timeoutMs, stallTimeoutMs: limits.stallTimeoutMs });
          const body = arriveWithin(timeoutMs, readBody(request, incomplete), () =>
            closeWithoutRest(request, response),
          );
          const context = {
            requestId: requestIdOf(received.header.get(REQUEST_ID_HEADER)),
            procedure: methodName(spec.method),
            logger: options.logger,
          };
          const tell = (error: ConnectError): ConnectError => {
            try {
              options.admitUnseen?.(received.header, peer);
            } catch (refusal) {
              return toConnectError(refusal, context);
            }
            return toConnectError(error, context);
          };
          const isGet = request.method === "GET" && handle.allowedMethods.includes("GET");
          const answer =
            (isGet ? refuseMalformedGet(request.url ?? "", tell) : undefined) ??
            (await tellMalformedRequest(await handle({ ...universal, body }), tell));
          discardRest(request, response);
          const watched = watchReader(answer.body ?? [], limits.stallTimeoutMs, () => cutAnswer(response));
          await universalResponseToNodeResponse({ ...answer, body: watched }, response);
        });
      }
    }
  }
  return handlers;
}

/** What is to come of a request that is late is not waited for. Over HTTP/2 the reset of its stream sees to that. */
function closeWithoutRest(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor !== 1 || request.complete) {
    return;
  }
  if (!response.headersSent) {
    response.setHeader("connection", "close");
  } else if (response.writableFinished) {
    request.socket.destroySoon();
  } else {
    response.once("finish", () => request.socket.destroySoon());
  }
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
