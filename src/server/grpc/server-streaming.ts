import { Code, ConnectError } from "@connectrpc/connect";
import type { handleServerStreamingCall } from "@grpc/grpc-js";

import { toConnectError } from "../../rpc/error-table.ts";
import { limitsOf, methodName } from "../limits/call-limits.ts";
import { GrpcCall, isDisconnected } from "./call.ts";
import { invokeServerStreaming, type ServerStreamingSpec } from "./invoke.ts";
import { encodeResponse } from "./message.ts";
import { readRequest } from "./read-request.ts";
import { toMetadata } from "./metadata.ts";
import { toGrpcStatus } from "./status.ts";
import { MessageWriter } from "./message-writer.ts";
import { resetStream, streamOf } from "./stream.ts";
import type { MountOptions } from "../mount-options.ts";
import { UnreadAnswers } from "../limits/unread-answers.ts";

/** A grpc-js handler, on raw bytes, for a server-streaming method of Connect. */
export function serverStreamingHandler(
  spec: ServerStreamingSpec,
  options: MountOptions,
): handleServerStreamingCall<Buffer, Buffer> {
  const { method } = spec;
  const limits = limitsOf(method, options.limits);
  const procedure = methodName(method);
  const unread = new UnreadAnswers();
  return (surface) => {
    if (isDisconnected(surface)) {
      return;
    }
    let headersSent = false;
    let answered = false;
    const sendHeaders = (header: Headers): void => {
      const metadata = headersSent ? undefined : toMetadata(header);
      headersSent = true;
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
      surface.emit("error", toGrpcStatus(told, call.responseTrailer));
    };
    const call = new GrpcCall(surface, limits, options.contextValues, fail);
    const writer = new MessageWriter(surface, limits.stallTimeoutMs, () => {
      call.cut(new ConnectError("the client does not read", Code.Aborted));
      resetStream(surface);
    });
    call.onCut((reason) => {
      writer.abandon(reason);
    });
    // From the start: at the client's deadline grpc-js ends the stream, which the client may never see.
    const stream = streamOf(surface);
    if (stream !== undefined) {
      unread.watch(stream, { timeoutMs: call.timeoutMs(), stallTimeoutMs: limits.stallTimeoutMs });
      stream.once("close", () => writer[Symbol.dispose]());
    }
    const run = async (): Promise<void> => {
      const request = readRequest(method.input, surface, limits.maxRequestBytes, call, options);
      const response = await invokeServerStreaming(spec, options.interceptors, call, request);
      const messages = response.message[Symbol.asyncIterator]();
      try {
        for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
          if (answered) {
            throw new ConnectError("the call is over", Code.Canceled);
          }
          sendHeaders(response.header);
          await writer.write(encodeResponse(method.output, next.value, limits.maxResponseBytes));
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
    run().catch(fail);
  };
}

function ignore(): void {}
