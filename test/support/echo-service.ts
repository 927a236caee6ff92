import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, file_google_protobuf_wrappers, StringValueSchema } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, MethodImpl } from "@connectrpc/connect";
import { createMethodImplSpec } from "@connectrpc/connect";
import { afterAll, beforeEach } from "vitest";
import type { MethodRule, ServedMethod } from "../../src/rpc/methods.ts";
import type { ServerOptions } from "../../src/server/server.ts";
import { EchoHttp2, frame } from "./echo-http2.ts";
import type { TestServer } from "./test-server.ts";
import { serve, startTestServer } from "./test-server.ts";

const STRING = ".google.protobuf.StringValue";

/** A service with a method of every kind, whose messages are strings. */
const service = describeService();
const strings = { input: StringValueSchema, output: StringValueSchema };

/** Its methods. */
const ECHO = {
  unary: { ...methodNamed("Unary"), ...strings, methodKind: "unary" as const },
  serverStream: { ...methodNamed("ServerStream"), ...strings, methodKind: "server_streaming" as const },
  clientStream: { ...methodNamed("ClientStream"), ...strings, methodKind: "client_streaming" as const },
  bidi: { ...methodNamed("Bidi"), ...strings, methodKind: "bidi_streaming" as const },
};

/** Their paths. */
export const ECHO_PATH = {
  unary: "/test.v1.EchoService/Unary",
  serverStream: "/test.v1.EchoService/ServerStream",
  clientStream: "/test.v1.EchoService/ClientStream",
  bidi: "/test.v1.EchoService/Bidi",
};

/** What a test's handlers do. */
export interface EchoHandlers {
  readonly unary?: MethodImpl<typeof ECHO.unary>;
  readonly serverStream?: MethodImpl<typeof ECHO.serverStream>;
  readonly clientStream?: MethodImpl<typeof ECHO.clientStream>;
  readonly bidi?: MethodImpl<typeof ECHO.bidi>;
}

/** The methods for which there is a handler. */
export function serveEcho(handlers: EchoHandlers, rule: Partial<MethodRule> = {}): ServedMethod[] {
  const { unary, serverStream, clientStream, bidi } = handlers;
  return [
    unary === undefined ? [] : serve(createMethodImplSpec(ECHO.unary, unary), rule),
    serverStream === undefined ? [] : serve(createMethodImplSpec(ECHO.serverStream, serverStream), rule),
    clientStream === undefined ? [] : serve(createMethodImplSpec(ECHO.clientStream, clientStream), rule),
    bidi === undefined ? [] : serve(createMethodImplSpec(ECHO.bidi, bidi), rule),
  ].flat();
}

/** A message of the service, as bytes on the wire. */
export function encodeEcho(value: string): Buffer {
  const message: MessageInitShape<typeof StringValueSchema> = { value };
  return Buffer.from(toBinary(StringValueSchema, create(StringValueSchema, message)));
}

/** A whole message in its frame. */
export const HELLO = frame(encodeEcho("hello"));

/** The text of a message of the service. */
export function decodeEcho(bytes: Uint8Array): string {
  return fromBinary(StringValueSchema, bytes).value;
}

function methodNamed(name: string) {
  const method = service.methods.find((each) => each.name === name);
  if (method === undefined) {
    throw new Error(`the service has no ${name}`);
  }
  return method;
}

function describeService(): DescService {
  const types = { inputType: STRING, outputType: STRING };
  const method = [
    { name: "Unary", ...types },
    { name: "ServerStream", ...types, serverStreaming: true },
    { name: "ClientStream", ...types, clientStreaming: true },
    { name: "Bidi", ...types, clientStreaming: true, serverStreaming: true },
  ];
  const file = {
    name: "test/v1/echo.proto",
    package: "test.v1",
    syntax: "proto3",
    dependency: [file_google_protobuf_wrappers.proto.name],
    service: [{ name: "EchoService", method }],
  };
  const set = create(FileDescriptorSetSchema, { file: [file_google_protobuf_wrappers.proto, file] });
  const found = createFileRegistry(set).getService("test.v1.EchoService");
  if (found === undefined) {
    throw new Error("the registry lacks the service");
  }
  return found;
}

/** Handlers that each test replaces, so that many tests can share one server. */
class ScriptedEcho {
  unary: MethodImpl<typeof ECHO.unary> = echoOne;
  serverStream: MethodImpl<typeof ECHO.serverStream> = echoCharacters;
  clientStream: MethodImpl<typeof ECHO.clientStream> = joinAll;
  bidi: MethodImpl<typeof ECHO.bidi> = echoEach;

  /** The methods of the service, which run the current script. */
  methods(rule: Partial<MethodRule> = {}): ServedMethod[] {
    return serveEcho(
      {
        unary: (request, context) => this.unary(request, context),
        serverStream: (request, context) => this.serverStream(request, context),
        clientStream: (requests, context) => this.clientStream(requests, context),
        bidi: (requests, context) => this.bidi(requests, context),
      },
      rule,
    );
  }

  /** Makes it echo again. */
  reset(): void {
    this.unary = echoOne;
    this.serverStream = echoCharacters;
    this.clientStream = joinAll;
    this.bidi = echoEach;
  }

  /** Makes every method run this instead. Methods that answer with a stream send a first message before it. */
  runInstead(run: (context: HandlerContext) => Promise<never>): void {
    this.unary = (_request, context) => run(context);
    this.serverStream = async function* (_request, context) {
      yield { value: "first" };
      await run(context);
    };
    this.clientStream = (_requests, context) => run(context);
    this.bidi = async function* (_requests, context) {
      yield { value: "first" };
      await run(context);
    };
  }

  /** Makes every method fail. */
  fail(thrown: unknown): void {
    this.runInstead(() => {
      throw thrown;
    });
  }

  /** Makes every method hang and ignore its signal. Returns the context of the first call that hangs. */
  hang(): Promise<HandlerContext> {
    const { promise, resolve } = Promise.withResolvers<HandlerContext>();
    this.runInstead((context) => {
      resolve(context);
      return new Promise(() => {});
    });
    return promise;
  }
}

/** A scripted service with a client. */
interface EchoTest {
  readonly script: ScriptedEcho;
  readonly server: TestServer;
  readonly client: EchoHttp2;
}

/** Starts a service for all tests of a file. Each test begins with handlers that echo, and with an empty log. */
export async function startEcho(
  rule: Partial<MethodRule> = {},
  options: Pick<Partial<ServerOptions>, "interceptors"> = {},
): Promise<EchoTest> {
  const script = new ScriptedEcho();
  const server = await startTestServer(script.methods(rule), options);
  const client = new EchoHttp2(server.address);
  beforeEach(() => {
    script.reset();
    server.logger.lines.length = 0;
  });
  afterAll(async () => {
    client[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
  });
  return { script, server, client };
}

const echoOne: MethodImpl<typeof ECHO.unary> = ({ value }) => ({ value });

const echoCharacters: MethodImpl<typeof ECHO.serverStream> = async function* ({ value }) {
  for (const character of value) {
    yield { value: character };
  }
};

const joinAll: MethodImpl<typeof ECHO.clientStream> = async (requests) => {
  const values = await Array.fromAsync(requests, ({ value }) => value);
  return { value: values.join(" ") };
};

const echoEach: MethodImpl<typeof ECHO.bidi> = async function* (requests) {
  for await (const { value } of requests) {
    yield { value };
  }
};
