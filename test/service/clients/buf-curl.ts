import { fileURLToPath } from "node:url";
import type { JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { methodOf } from "./call-over-transport.ts";
import type { CallOptions, RealClientKind } from "./real-call.ts";
import { runProgram } from "./run-program.ts";

const BUF = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));

/** What buf writes to standard error. */
interface Refusal {
  readonly code: string;
  readonly message: string;
  /** The value in base64. */
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

const CODES = new Map([
  ["canceled", Code.Canceled],
  ["deadline_exceeded", Code.DeadlineExceeded],
  ["invalid_argument", Code.InvalidArgument],
  ["not_found", Code.NotFound],
  ["unavailable", Code.Unavailable],
]);

/** How buf is told which protocol to speak, and where the schema comes from. */
const WAYS = {
  grpc: ["--protocol", "grpc", "--http2-prior-knowledge"],
  grpcweb: ["--protocol", "grpcweb", "--schema", "."],
  connect: ["--protocol", "connect", "--schema", "."],
};

/**
 * `buf curl`, written in Go with Connect's library for it, with one of its protocols; over gRPC by reflection. It has
 * no flag for compressing requests, and its way to cancel is to be killed.
 */
export function bufCurl(protocol: keyof typeof WAYS): RealClientKind {
  const port = protocol === "grpc" ? "grpcAddress" : "httpAddress";
  return {
    port,
    compressesRequests: false,
    // grpc-js, which serves gRPC, has no compression of answers.
    getsCompressed: protocol !== "grpc",
    async open(addresses) {
      return {
        call(name, request, options) {
          const url = `http://${addresses[port]}/${methodOf(name).parent.typeName}/${name}`;
          return call([...WAYS[protocol], "--data", JSON.stringify(request), url], options);
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
  if (!stderr.startsWith("{")) {
    return new Error(stderr);
  }
  const { code, message, details = [] }: Refusal = JSON.parse(stderr);
  const error = new ConnectError(message, CODES.get(code) ?? Code.Unknown);
  error.details = details.map(({ type, value }) => ({ type, value: Buffer.from(value, "base64") }));
  return error;
}
