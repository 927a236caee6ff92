import type { handleUnaryCall } from "@grpc/grpc-js";

import { toConnectError } from "../../rpc/error-table.ts";
import { limitsOf, methodName } from "../limits/call-limits.ts";
import { GrpcCall, isDisconnected } from "./call.ts";
import { invokeUnary, type UnarySpec } from "./invoke.ts";
import { encodeResponse } from "./message.ts";
import { readRequest } from "./read-request.ts";
import { toMetadata } from "./metadata.ts";
import { toGrpcStatus } from "./status.ts";
import { streamOf } from "./stream.ts";
import type { MountOptions } from "../mount-options.ts";
import { UnreadAnswers } from "../limits/unread-answers.ts";

/** A grpc-js handler, on raw bytes, for a unary method of Connect. */
export function unaryHandler(spec: UnarySpec, options: MountOptions): handleUnaryCall<Buffer, Buffer> {
  const { method } = spec;
  const limits = limitsOf(method, options.limits);
  const procedure = methodName(method);
  const unread = new UnreadAnswers();
  return (surface, respond) => {
    if (isDisconnected(surface)) {
      return;
    }
    let answered = false;
    const sendHeaders = (header: Headers): void => {
      const metadata = toMetadata(header);
      if (metadata !== undefined) {
        surface.sendMetadata(metadata);
      }
    };
    const fail = (error: unknown): void => {
      if (answered) {
        return;
      }
      answered = true;
      call.finish();
      const told = toConnectError(error, { requestId: call.requestId, procedure, logger: options.logger });
      sendHeaders(call.responseHeader);
      respond(toGrpcStatus(told, call.responseTrailer), null);
      watchReader();
    };
    const watchReader = (): void => {
      const stream = streamOf(surface);
      if (stream !== undefined) {
        const { stallTimeoutMs } = limits;
        unread.watch(stream, { timeoutMs: call.timeoutMs(), stallTimeoutMs, isFinished: true });
      }
    };
    const call = new GrpcCall(surface, limits, options.contextValues, fail);
    const run = async (): Promise<void> => {
      const request = readRequest(method.input, surface, limits.maxRequestBytes, call, options);
      const { message, header, trailer } = await invokeUnary(spec, options.interceptors, call, request);
      const bytes = encodeResponse(method.output, message, limits.maxResponseBytes);
      if (answered) {
        return;
      }
      const trailerMetadata = toMetadata(trailer);
      sendHeaders(header);
      answered = true;
      call.finish();
      respond(null, bytes, trailerMetadata);
      watchReader();
    };
    run().catch(fail);
  };
}
