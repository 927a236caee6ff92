import type { ServiceImplSpec } from "@connectrpc/connect";
import { createServiceImplSpec } from "@connectrpc/connect";
import { ServerReflection } from "#gen/grpc/reflection/v1/reflection_pb.ts";
import type { Call } from "../../src/rpc/call.ts";
import { METHOD_RULES, servedMethods } from "../../src/rpc/methods.ts";
import { createReflectionHandlers } from "../../src/rpc/reflection.ts";
import { answerText } from "../../src/server/exchange.ts";
import type { Addresses } from "../support/clients.ts";
import { startTestServer } from "../support/test-server.ts";
import type { TlsOnDisk } from "../support/tls-on-disk.ts";

/** A server with a test's own services and reflection, set up like the real one, for callers without tokens. */
export interface ReflectingServer extends Addresses, AsyncDisposable {
  /** Every call so far but those for reflection, in the order of arrival. */
  readonly calls: Call[];
}

export interface ReflectingServerOptions {
  readonly services: readonly ServiceImplSpec[];
  /** Rules beside those of the real services. */
  readonly rules?: typeof METHOD_RULES;
  readonly tls?: TlsOnDisk | undefined;
}

/** Starts it on two free ports of loopback. */
export async function startServer({ services, rules, tls }: ReflectingServerOptions): Promise<ReflectingServer> {
  const calls: Call[] = [];
  const reflection = createReflectionHandlers(services.map(({ service }) => service));
  const methods = servedMethods(
    [...services, createServiceImplSpec<typeof ServerReflection>(ServerReflection, reflection.v1)],
    { ...METHOD_RULES, ...rules },
  );
  const { server, address } = await startTestServer(methods, {
    tls: tls?.tls,
    onCallStart(call) {
      if (!call.method.name.startsWith(ServerReflection.typeName)) {
        calls.push(call);
      }
    },
    plain: () => ({ "GET /": { answer: (exchange) => answerText(exchange, 200, "a test's server") } }),
  });
  const httpAddress = await server.listen("HTTP_PORT", "127.0.0.1", 0);
  return { grpcAddress: address, httpAddress, calls, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
