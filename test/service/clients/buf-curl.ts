import { fileURLToPath } from "node:url";
import type { JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { methodOf } from "./call-over-transport.ts";
import type { CallOptions, ClientKind } from "./client.ts";
import { urlOf } from "./client.ts";
import { runProgram } from "./run-program.ts";

const BUF = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));

/** What buf writes to standard error. */
interface Refusal {
  readonly code: string;
  readonly message: string;
  /** The value in base64. */
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

/** Flags for the protocol and for where the schema comes from. */
const WAYS = {
  gRPC: ["--protocol", "grpc"],
  "gRPC-Web": ["--protocol", "grpcweb", "--schema", "proto"],
  Connect: ["--protocol", "connect", "--schema", "proto"],
};

/**
 * `buf curl`, written in Go with Connect's library, with one of its protocols. Over gRPC, it reads the schema by
 * reflection. It has no flag for compressing requests, and is killed to cancel a call.
 */
export function bufCurl(protocol: keyof typeof WAYS): ClientKind {
  return {
    name: `buf curl, ${protocol}`,
    sendsGzip: false,
    takesGzip: true,
    async open(target) {
      const { authority } = target;
      const security = authority === undefined ? [] : ["--cacert", authority.caFile];
      // With TLS, buf and the service agree on HTTP/2 by themselves.
      const version = authority === undefined && protocol === "gRPC" ? ["--http2-prior-knowledge"] : [];
      return {
        call(name, request, options) {
          const url = `${urlOf(target)}/${methodOf(name).parent.typeName}/${name}`;
          return call([...WAYS[protocol], ...security, ...version, "--data", JSON.stringify(request), url], options);
        },
        async [Symbol.asyncDispose]() {},
      };
    },
  };
}

async function call(args: readonly string[], { timeoutMs, signal }: CallOptions = {}): Promise<JsonValue[]> {
  const deadline = timeoutMs === undefined ? [] : ["--timeout", `${timeoutMs}ms`];
  const { stdout, stderr, exitCode } = await runProgram(BUF, ["curl", ...deadline, ...args], { signal, by: "kill" });
  if (exitCode === 0) {
    return parseMany(stdout);
  }
  throw exitCode === null ? new ConnectError("killed", Code.Canceled) : toError(stderr);
}

/** One indented object after the other. */
function parseMany(text: string): JsonValue[] {
  const documents = text.split(/(?<=^\})\n/m).filter((document) => document.trim() !== "");
  return documents.map((document): JsonValue => JSON.parse(document));
}

function toError(stderr: string): Error {
  // On a busy machine its deadline may pass before it has called, which it reports with another code or without one.
  if (/deadline exceeded/i.test(stderr)) {
    return new ConnectError(stderr, Code.DeadlineExceeded);
  }
  if (!stderr.startsWith("{")) {
    return new Error(stderr);
  }
  const { code, message, details = [] }: Refusal = JSON.parse(stderr);
  const error = new ConnectError(message, codeFromString(code));
  error.details = details.map(({ type, value }) => ({ type, value: Buffer.from(value, "base64") }));
  return error;
}
