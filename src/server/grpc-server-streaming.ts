import type { ConnectError } from "@connectrpc/connect";
import type { handleServerStreamingCall } from "@grpc/grpc-js";

import { limitsOf } from "./call-limits.ts";
import { GrpcCall } from "./grpc-call.ts";
import { invokeServerStreaming, type ServerStreamingSpec } from "./grpc-invoke.ts";
import { decodeRequest, encodeResponse } from "./grpc-message.ts";
import { toMetadata } from "./grpc-metadata.ts";
import { toGrpcStatus } from "./grpc-status.ts";
import { MessageWriter } from "./message-writer.ts";
import type { MountOptions } from "./mount-options.ts";
import { toPublicError } from "./public-error.ts";

/** A grpc-js handler, on raw bytes, for a server-streaming method of Connect. */
export function serverStreamingHandler(
  spec: ServerStreamingSpec,
  options: MountOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  const { method } = spec;
  const limits = limitsOf(method, options.limits);
  return (surface) => {
    let headersSent = false;
    let answered = false;
    const sendHeaders = (header: Headers | undefined): void => {
      if (!headersSent && header !== undefined) {
        surface.sendMetadata(toMetadata(header));
      }
      headersSent = true;
    };
    const fail = (error: ConnectError): void => {
      if (answered) {
        return;
      }
      answered = true;
      call.finish();
      sendHeaders(call.responseHeaderIfAny);
      surface.emit("error", toGrpcStatus(error, call.responseTrailerIfAny));
    };
    const call = new GrpcCall(surface, method, limits, options.contextValues, fail);
    const writer = new MessageWriter(surface);
    const run = async (): Promise<void> => {
      const request = decodeRequest(method.input, surface.request, limits.maxRequestBytes);
      const response = await invokeServerStreaming(spec, options.interceptors, call, request);
      const messages = response.message[Symbol.asyncIterator]();
      try {
        for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
          sendHeaders(response.header);
          const roomAgain = writer.write(encodeResponse(method.output, next.value, limits.maxResponseBytes));
          if (roomAgain !== undefined) {
            await call.unlessCutShort(roomAgain);
          }
        }
      } catch (error) {
        // Tells interceptors and handler, when it was not them who failed.
        messages.throw?.(error).catch(ignore);
        messages.return?.().catch(ignore);
        throw error;
      }
      if (answered) {
        return;
      }
      sendHeaders(response.header);
      const trailer = toMetadata(response.trailer);
      answered = true;
      call.finish();
      surface.end(trailer);
    };
    run().catch((error: unknown) => {
      fail(toPublicError(error, method, options.logger));
    });
  };
}

function ignore(): void {}
