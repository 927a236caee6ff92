import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { PYTHON, writeSchema } from "../clients/python.ts";
import type { Relay } from "../clients/relay.ts";
import { startRelay } from "../clients/relay.ts";
import { runProgram } from "../clients/run-program.ts";
import type { ReflectingServer } from "../start-server.ts";
import { startInteropServer } from "./interop-service.ts";

const SCRIPT = fileURLToPath(new URL("interop-client.py", import.meta.url));

/** The cases, and the outcomes of their calls as the server sees them. */
const CASES: readonly (readonly [name: string, ends: readonly string[]])[] = [
  ["empty_unary", ["OK"]],
  ["large_unary", ["OK"]],
  ["client_compressed_unary", ["InvalidArgument", "OK", "OK"]],
  ["client_streaming", ["OK"]],
  ["server_streaming", ["OK"]],
  ["ping_pong", ["OK"]],
  ["empty_stream", ["OK"]],
  ["custom_metadata", ["OK"]],
  ["status_code_and_message", ["Unknown", "Unknown"]],
  ["special_status_message", ["Unknown"]],
  ["unimplemented_method", ["Unimplemented"]],
  ["unimplemented_service", []],
  ["cancel_after_first_response", ["Canceled"]],
];

let stack: AsyncDisposableStack;
let server: ReflectingServer;
let relay: Relay;
let schema: string;

beforeAll(async () => {
  await using starting = new AsyncDisposableStack();
  const directory = starting.use(await temporaryDirectory());
  schema = join(directory.path, "schema.binpb");
  await writeSchema("test/service/interop", schema);
  server = starting.use(await startInteropServer());
  relay = starting.use(await startRelay(server.grpcAddress));
  stack = starting.move();
});

afterEach(() => {
  server.calls.length = 0;
});

afterAll(() => stack.disposeAsync());

/** The output of a case, which is empty when it passes. */
async function run(name: string): Promise<string> {
  const { stderr, exitCode } = await runProgram(PYTHON, [SCRIPT, relay.address, schema, name]);
  return exitCode === 0 ? "" : stderr;
}

async function ends(): Promise<string[]> {
  await expect.poll(() => server.calls.every(({ hasEnded }) => hasEnded)).toBe(true);
  return server.calls.map(({ code }) => (code === undefined ? "OK" : Code[code]));
}

describe("Python's grpcio", () => {
  test.each(CASES)("holds %s, and the server sees its calls end", async (name, expected) => {
    expect(await run(name)).toBe("");
    expect(await ends()).toEqual(expected);
  });

  test("holds server_compressed_unary: an answer is compressed if the client takes that", async () => {
    const before = relay.bytes.down;
    const whenTaken = await run("server_compressed_unary");
    const between = relay.bytes.down;
    const whenNot = await run("server_plain_unary");

    expect([whenTaken, whenNot]).toEqual(["", ""]);
    expect(between - before).toBeLessThan(30_000);
    expect(relay.bytes.down - between).toBeGreaterThan(300_000);
  });

  test("holds cancel_after_begin: the server sees the call cancelled, if it sees it at all", async () => {
    expect(await run("cancel_after_begin")).toBe("");
    expect((await ends()).filter((end) => end !== "OK" && end !== "Canceled")).toEqual([]);
  });

  test("holds timeout_on_sleeping_server: the server sees the deadline or the client leave, if it sees the call at all", async () => {
    expect(await run("timeout_on_sleeping_server")).toBe("");
    expect((await ends()).filter((end) => end !== "DeadlineExceeded" && end !== "Canceled")).toEqual([]);
  });
});
