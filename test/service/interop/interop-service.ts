import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { Code, ConnectError, createServiceImplSpec } from "@connectrpc/connect";
import { callOf } from "../../../src/rpc/call.ts";
import type { MethodRule } from "../../../src/rpc/methods.ts";
import { toCode } from "../clients/to-call-error.ts";
import type { ReflectingServer } from "../start-server.ts";
import { startServer } from "../start-server.ts";
import type { Request, ResponseSchema } from "./gen/interop_pb.ts";
import { InteropService } from "./gen/interop_pb.ts";

type Response = MessageInitShape<typeof ResponseSchema>;

/** Room for the large messages of the cases. */
const RULE: MethodRule = {
  scope: "open",
  maxRequestBytes: 1024 * 1024,
  maxResponseBytes: 1024 * 1024,
  defaultTimeoutMs: 60_000,
  maxTimeoutMs: 60_000,
  compressResponses: true,
};

const RULES: Readonly<Record<keyof (typeof InteropService)["method"], MethodRule>> = {
  emptyCall: RULE,
  unaryCall: RULE,
  plainCall: { ...RULE, compressResponses: false },
  streamingOutputCall: RULE,
  streamingInputCall: RULE,
  fullDuplexCall: RULE,
  unimplementedCall: RULE,
};

const HANDLERS: Partial<ServiceImpl<typeof InteropService>> = {
  emptyCall: () => ({}),
  unaryCall: answerOne,
  plainCall: answerOne,

  async *streamingOutputCall(request, context) {
    yield* answersTo(request, context);
  },

  async streamingInputCall(requests) {
    let payloadBytes = 0;
    for await (const { payload } of requests) {
      payloadBytes += payload.byteLength;
    }
    return { payloadBytes };
  },

  async *fullDuplexCall(requests, context) {
    for await (const request of requests) {
      yield* answersTo(request, context);
    }
  },
};

/** Serves the interoperability cases with the code that serves VehicleService. */
export function startInteropServer(): Promise<ReflectingServer> {
  return startServer({
    services: [createServiceImplSpec<typeof InteropService>(InteropService, HANDLERS)],
    rules: { [InteropService.typeName]: RULES },
  });
}

function answerOne(request: Request, context: HandlerContext): Response {
  const { expectCompressed } = request;
  if (expectCompressed !== undefined && expectCompressed !== callOf(context.values).isRequestCompressed) {
    throw new ConnectError(`the request is ${expectCompressed ? "not " : ""}compressed`, Code.InvalidArgument);
  }
  const [response = {}] = answersTo(request, context);
  return response;
}

function* answersTo(
  { status, responseSizes }: Request,
  { requestHeader, responseHeader, responseTrailer }: HandlerContext,
): Generator<Response> {
  copyHeader("x-grpc-test-echo-initial", requestHeader, responseHeader);
  copyHeader("x-grpc-test-echo-trailing-bin", requestHeader, responseTrailer);
  if (status !== undefined) {
    throw new ConnectError(status.message, toCode(status.code));
  }
  for (const size of responseSizes) {
    yield { payload: new Uint8Array(size) };
  }
}

function copyHeader(name: string, from: Headers, to: Headers): void {
  const value = from.get(name);
  if (value !== null) {
    to.set(name, value);
  }
}
