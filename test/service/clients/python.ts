import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "@bufbuild/protobuf";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { isUnary, methodOf } from "./call-over-transport.ts";
import type { ClientKind } from "./client.ts";
import { runProgram } from "./run-program.ts";
import { toCallError } from "./to-call-error.ts";

const BUF = fileURLToPath(new URL("../../../node_modules/.bin/buf", import.meta.url));
const SCRIPT = fileURLToPath(new URL("python-client.py", import.meta.url));

/** A Python that has grpcio; Debian's, unless the environment names another one. */
export const PYTHON = process.env["GRPCIO_PYTHON"] ?? "/usr/bin/python3";

type Outcome =
  | { readonly messages: JsonValue[] }
  | { readonly code: number; readonly message: string; readonly details: string };

/** grpcio, gRPC's own library in C, by way of the Python at this path; every request compressed. */
export function python(interpreter: string): ClientKind {
  return {
    name: "Python's grpcio",
    sendsGzip: true,
    takesGzip: true,
    async open({ address, authority }) {
      const directory = await temporaryDirectory();
      const schema = join(directory.path, "schema.binpb");
      await writeSchema(".", schema);
      return {
        async call(name, request, { timeoutMs = null, signal } = {}) {
          const method = methodOf(name);
          const streams = !isUnary(method);
          const wish = {
            address,
            caFile: authority?.caFile ?? null,
            service: method.parent.typeName,
            method: name,
            streams,
            request,
            timeoutMs,
            schema,
          };
          const { stdout, stderr } = await runProgram(interpreter, [SCRIPT, JSON.stringify(wish)], {
            signal,
            by: "line",
          });
          if (stdout === "") {
            throw new Error(stderr);
          }
          const outcome: Outcome = JSON.parse(stdout);
          if ("messages" in outcome) {
            return outcome.messages;
          }
          throw toCallError(outcome.code, outcome.message, Buffer.from(outcome.details, "base64"));
        },
        [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
      };
    },
  };
}

/** Writes a module's schema, and all that it imports, as a FileDescriptorSet. */
export async function writeSchema(module: string, path: string): Promise<void> {
  const { stderr, exitCode } = await runProgram(BUF, ["build", module, "--as-file-descriptor-set", "-o", path]);
  if (exitCode !== 0) {
    throw new Error(stderr);
  }
}
