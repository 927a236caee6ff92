import type { Message } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Client, Interceptor, StreamRequest, StreamResponse, UnaryRequest } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "../../gen/vehicle/v1/vehicle_service_pb.ts";

export { Code, ConnectError };
export { BadRequestSchema, ErrorInfoSchema, RequestInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
export * from "../../gen/vehicle/v1/vehicle_service_pb.ts";

export interface VehicleClientOptions {
  /** The URL of the service, such as `https://vins.example.com`. */
  readonly baseUrl: string;
  /** The secret of a token. Default: none. */
  readonly token?: string;
  /**
   * The deadline of a Lookup or Remove, including all attempts, in ms. Default: 10 s. The deadline of a stream is
   * 10 minutes. The option `timeoutMs` of a call replaces either.
   */
  readonly timeoutMs?: number;
  /** Maximum number of attempts for a call that the service refuses temporarily. Default: 4. */
  readonly attempts?: number;
}

const STREAM_TIMEOUT_MS = 600_000;
const FIRST_PAUSE_MS = 250;

/**
 * Creates a client of VehicleService, for Node and browsers. It speaks Connect.
 *
 * A call that fails with UNAVAILABLE or RESOURCE_EXHAUSTED is repeated after the time that the service asks for. A
 * stream is not repeated after its first message.
 */
export function createVehicleClient({
  baseUrl,
  token,
  timeoutMs = 10_000,
  attempts = 4,
}: VehicleClientOptions): Client<typeof VehicleService> {
  const transport = createConnectTransport({
    baseUrl,
    useBinaryFormat: true,
    defaultTimeoutMs: timeoutMs,
    interceptors: [withRetries(attempts), ...(token === undefined ? [] : [withToken(token)])],
  });
  return createClient(VehicleService, {
    ...transport,
    stream: (method, signal, streamTimeoutMs = STREAM_TIMEOUT_MS, ...rest) =>
      transport.stream(method, signal, streamTimeoutMs, ...rest),
  });
}

function withToken(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("Authorization", `Bearer ${token}`);
    return next(request);
  };
}

/** Repeats calls of any method, because all methods of the service are idempotent. */
function withRetries(attempts: number): Interceptor {
  return (next) => async (request) => {
    const repeated = await toRepeatable(request);
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await next(repeated());
        return response.stream ? await withFirstMessage(response) : response;
      } catch (error) {
        const pauseMs = pauseAfter(error, attempt);
        if (pauseMs === undefined || attempt >= attempts) {
          throw error;
        }
        await pause(pauseMs, request.signal);
      }
    }
  };
}

/** Returns a function that creates the same request each time. Stores a stream's messages, which can be read once. */
async function toRepeatable(request: UnaryRequest | StreamRequest): Promise<() => UnaryRequest | StreamRequest> {
  if (!request.stream) {
    return () => request;
  }
  const messages: Message[] = [];
  for await (const message of request.message) {
    messages.push(message);
  }
  async function* all(): AsyncGenerator<Message> {
    yield* messages;
  }
  return () => ({ ...request, message: all() });
}

/** Waits for the first message. A stream that is refused fails here, so that it can be repeated. */
async function withFirstMessage(response: StreamResponse): Promise<StreamResponse> {
  const messages = response.message[Symbol.asyncIterator]();
  const first = await messages.next();
  async function* all(): AsyncGenerator<Message> {
    try {
      for (let next = first; next.done !== true; next = await messages.next()) {
        yield next.value;
      }
    } finally {
      await messages.return?.();
    }
  }
  return { ...response, message: all() };
}

/** The pause before the next attempt, in ms; undefined when another attempt would fail too. */
function pauseAfter(error: unknown, attempt: number): number | undefined {
  if (!(error instanceof ConnectError)) {
    return undefined;
  }
  const [retryInfo] = error.findDetails(RetryInfoSchema);
  if (retryInfo?.retryDelay !== undefined) {
    return durationMs(retryInfo.retryDelay);
  }
  return error.code === Code.Unavailable ? FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random() / 2) : undefined;
}

/** Waits. @throws the reason of the signal when it is aborted */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
