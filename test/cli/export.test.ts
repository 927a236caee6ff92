import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, test } from "vitest";

import { UsageError } from "../../src/cli/command.ts";
import { exportCommand } from "../../src/cli/export.ts";
import { collect, noAbort, openExports } from "../export/open-exports.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { VehicleTable } from "../export/vehicle-table.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

type Export = ServiceImpl<typeof VehicleService>["export"];

const CLI = join(import.meta.dirname, "../../src/cli/main.ts");
const CHUNKS = [new Uint8Array([1, 2, 3]), new Uint8Array([4, 5])];

/** A service with a test's export, over HTTP/1.1 (Connect) or HTTP/2 (gRPC), and a directory for downloads. */
async function serve(implementation: Export, protocol: "connect" | "grpc" = "connect") {
  await using stack = new AsyncDisposableStack();
  const adapter = connectNodeAdapter({
    routes: (router) => {
      router.rpc(VehicleService.method.export, implementation);
    },
  });
  const server = protocol === "connect" ? createServer(adapter) : createHttp2Server(adapter);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(() => {
    server.close();
  });
  const directory = await mkdtemp(join(tmpdir(), "vehicle-cli-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const address = server.address();
  const host = `127.0.0.1:${typeof address === "object" ? address?.port : undefined}`;
  const cleanUp = stack.move();
  return {
    directory,
    address: protocol === "connect" ? `http://${host}` : host,
    [Symbol.asyncDispose]: () => cleanUp.disposeAsync(),
  };
}

async function runCli(directory: string, ...args: string[]) {
  const child = spawn(process.execPath, [CLI, "export", ...args], {
    cwd: directory,
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [stderr, [exitCode]] = await Promise.all([text(child.stderr), once(child, "close")]);
  return { exitCode, stderr };
}

async function* wholeExport(sizeBytes = 5n) {
  yield { part: { case: "metadata" as const, value: { rowCount: 2n, sizeBytes } } };
  for (const value of CHUNKS) {
    yield { part: { case: "data" as const, value } };
  }
}

test.each(["connect", "grpc"] as const)("the file is downloaded over %s", async (protocol) => {
  await using service = await serve(() => wholeExport(), protocol);

  const { exitCode, stderr } = await runCli(service.directory, "--address", service.address, "out.parquet");

  expect([exitCode, stderr]).toEqual([0, "out.parquet: 2 vehicles, 5 bytes\n"]);
  expect(await readdir(service.directory)).toEqual(["out.parquet"]);
  expect([...(await readFile(join(service.directory, "out.parquet")))]).toEqual([1, 2, 3, 4, 5]);
});

test.each(["--token", "--token-file"])("the token of %s is sent as a bearer token", async (option) => {
  const tokens: (string | null)[] = [];
  await using service = await serve((_request, context) => {
    tokens.push(context.requestHeader.get("authorization"));
    return wholeExport();
  });
  await writeFile(join(service.directory, "token"), "secret\n");
  const value = option === "--token" ? "secret" : "token";

  await runCli(service.directory, "--address", service.address, option, value, "out.parquet");

  expect(tokens).toEqual(["Bearer secret"]);
});

test("an unreadable token file is named", async () => {
  await using service = await serve(() => wholeExport());

  const token = ["--token-file", "nowhere"];
  const { exitCode, stderr } = await runCli(service.directory, "--address", service.address, ...token, "out.parquet");

  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringMatching(/export failed: .*nowhere/) });
});

test.each(["", "billing 309b lookup,export\n"])("a token file with %j is refused", async (content) => {
  await using service = await serve(() => wholeExport());
  await writeFile(join(service.directory, "tokens"), content);

  const token = ["--token-file", "tokens"];
  const { exitCode, stderr } = await runCli(service.directory, "--address", service.address, ...token, "out.parquet");

  const fault = "export failed: --token-file: expected the secret of a token, and nothing else, in tokens\n";
  expect([exitCode, stderr]).toEqual([1, fault]);
});

test("https to a service without TLS names --address", async () => {
  await using service = await serve(() => wholeExport());

  const address = service.address.replace("http:", "https:");
  const { exitCode, stderr } = await runCli(service.directory, "--address", address, "out.parquet");

  expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/check --ca and --address: https:\/\/ with TLS/)]);
});

test("--vins keeps the vehicles of a table's VINs, and says how many are missing", async () => {
  await using table = await VehicleTable.create();
  const [first, second, third, missing] = [
    "1XPWD40X1ED215307",
    "1XKWDB0X57J211825",
    "1XP4DB9X7YN526158",
    "1FTFW1ET5DFC10312",
  ];
  table.put([first, second, third].map((vin) => ({ vin })));
  await using exports = await openExports(table);
  await using file = await exports.create("client", noAbort());
  const parquet = await collect(file.read());
  await using service = await serve(async function* () {
    yield { part: { case: "metadata" as const, value: { rowCount: 3n, sizeBytes: BigInt(parquet.length) } } };
    yield { part: { case: "data" as const, value: parquet } };
  });
  await writeFile(
    join(service.directory, "fleet.csv"),
    `id,VIN\n1,${missing}\n2, ${third.toLowerCase()}\n3,none\n4,${first}\n`,
  );

  const wanted = ["--vins", "fleet.csv", "--address", service.address];
  const { exitCode, stderr } = await runCli(service.directory, ...wanted, "out.parquet");

  const bytes = await readFile(join(service.directory, "out.parquet"));
  expect([exitCode, stderr]).toEqual([
    0,
    `fleet.csv: rows without a valid VIN: 1\nout.parquet: 2 vehicles, ${bytes.length} bytes; VINs that are not in the cache: 1\n`,
  ]);
  expect(await queryParquet(bytes, "select vin from $file")).toEqual([{ vin: third }, { vin: first }]);
  expect((await readdir(service.directory)).toSorted()).toEqual(["fleet.csv", "out.parquet"]);
});

test("--vins leaves no file when the stream ends too early", async () => {
  await using service = await serve(() => wholeExport(6n));
  await writeFile(join(service.directory, "vins.txt"), "1XPWD40X1ED215307\n");

  const wanted = ["--vins", "vins.txt", "--address", service.address];
  const { exitCode } = await runCli(service.directory, ...wanted, "out.parquet");

  expect(exitCode).toBe(1);
  expect(await readdir(service.directory)).toEqual(["vins.txt"]);
});

test("a stream that ends too early leaves no file", async () => {
  await using service = await serve(() => wholeExport(6n));

  const { exitCode, stderr } = await runCli(service.directory, "--address", service.address, "out.parquet");

  expect([exitCode, stderr]).toEqual([1, "export failed: incomplete: received 5 of 6 bytes\n"]);
  expect(await readdir(service.directory)).toEqual([]);
});

test("an error of the service is printed with its code and leaves no file", async () => {
  await using service = await serve(async function* () {
    yield* wholeExport();
    throw new ConnectError("2 exports of this client run already", Code.ResourceExhausted);
  });

  const { exitCode, stderr } = await runCli(service.directory, "--address", service.address, "out.parquet");

  expect([exitCode, stderr]).toEqual([1, "export failed: 2 exports of this client run already (ResourceExhausted)\n"]);
  expect(await readdir(service.directory)).toEqual([]);
});

test.each([
  [[]],
  [["a.parquet", "b.parquet"]],
  [["--address", "nonsense", "a.parquet"]],
  [["--unknown", "a.parquet"]],
  [["--column", "vin", "a.parquet"]],
])("wrong arguments %j are refused", async (args) => {
  await expect(exportCommand.run(args)).rejects.toBeInstanceOf(UsageError);
});
