import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { digestOf } from "../../src/access/token.ts";
import { Call } from "../../src/rpc/call.ts";
import type { ServedMethod } from "../../src/rpc/methods.ts";
import { observeCalls } from "../../src/rpc/observe-calls.ts";
import { clientOf } from "../support/clients.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { errorOf } from "../support/error-of.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { serveVehicles } from "../support/test-server.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [VIN = ""] = manyVins(1);
const GOOD = { headers: { authorization: "Bearer vs_all" } };
const NO_EXPORT = { headers: { authorization: "Bearer vs_some" } };

const running = new AsyncDisposableStack();
let app: TestApp;

beforeAll(async () => {
  const { path } = running.use(await temporaryDirectory());
  const tokens = join(path, "tokens");
  const lines = [`all ${digestOf("vs_all")} lookup,remove,export`, `some ${digestOf("vs_some")} lookup`];
  await writeFile(tokens, lines.join("\n"));
  app = running.use(await startTestApp({ env: { AUTH_TOKENS_FILE: tokens } }));
});

afterAll(() => running.disposeAsync());

/** The samples of the metrics that have this name, such as `unary Lookup grpc OK: 2`. */
async function samplesOf(name: string): Promise<string[]> {
  const response = await fetch(`http://${app.httpAddress}/metrics`);
  const lines = (await response.text()).split("\n").filter((line) => line.startsWith(`${name}{`));
  return lines.map((line) => {
    const label = (key: string): string => new RegExp(`${key}="([^"]*)"`).exec(line)?.[1] ?? "";
    const labels = ["grpc_type", "grpc_method", "rpc_protocol", "grpc_code"].map(label).filter((text) => text !== "");
    return `${labels.join(" ")}: ${line.slice(line.lastIndexOf(" ") + 1)}`;
  });
}

/** The sum of samples by all but their code. */
function withoutCodes(samples: readonly string[]): string[] {
  const sums = new Map<string, number>();
  for (const sample of samples) {
    const [labels = "", count] = sample.split(": ");
    const key = labels.split(" ").slice(0, 3).join(" ");
    sums.set(key, (sums.get(key) ?? 0) + Number(count));
  }
  return [...sums].map(([key, count]) => `${key}: ${count}`);
}

test("every call is counted once, at its true end, by kind, method, protocol and code", async () => {
  const expected = new Map<string, number>();
  const count = (sample: string, times = 1): void => {
    expected.set(sample, (expected.get(sample) ?? 0) + times);
  };
  for (const [name, protocol] of [
    ["grpc", "grpc"],
    ["grpc-web", "grpc_web"],
    ["connect", "connect"],
  ] as const) {
    const client = clientOf(app, name);
    await client.lookup({ vin: VIN }, GOOD);
    await client.lookup({ vin: VIN }, GOOD);
    count(`unary Lookup ${protocol} OK`, 2);
    await errorOf(client.lookup({ vin: "nonsense" }, GOOD));
    count(`unary Lookup ${protocol} InvalidArgument`);
    await errorOf(client.lookup({ vin: VIN }));
    count(`unary Lookup ${protocol} Unauthenticated`);
    await errorOf(client.remove({ vin: VIN }, NO_EXPORT));
    count(`unary Remove ${protocol} PermissionDenied`);
    await Array.fromAsync(client.batchLookup({ vins: [VIN, "nonsense"] }, GOOD));
    count(`server_stream BatchLookup ${protocol} OK`);
    await errorOf(Array.fromAsync(client.batchLookup({ vins: [] }, GOOD)));
    count(`server_stream BatchLookup ${protocol} InvalidArgument`);
    await Array.fromAsync(client.export({}, GOOD));
    count(`server_stream Export ${protocol} OK`);
    await errorOf(Array.fromAsync(client.export({}, NO_EXPORT)));
    count(`server_stream Export ${protocol} PermissionDenied`);
    await errorOf(Array.fromAsync(client.export({})));
    count(`server_stream Export ${protocol} Unauthenticated`);
  }

  // Malformed requests, over gRPC and Connect, and a request that is not a call.
  using raw = new EchoHttp2(app.grpcAddress);
  const lookup = "/vehicle.v1.VehicleService/Lookup";
  await raw.call(lookup, frame(Buffer.from([0xff])), GOOD.headers);
  await raw.call(lookup, Buffer.alloc(0), GOOD.headers);
  await raw.call(lookup, frame(), { ...GOOD.headers, "grpc-encoding": "br" });
  await raw.call(lookup, frame(Buffer.alloc(5_000)), GOOD.headers);
  await raw.call(lookup, frame(), { ...GOOD.headers, "grpc-timeout": "0n" });
  count("unary Lookup grpc InvalidArgument");
  count("unary Lookup grpc Unimplemented", 2);
  count("unary Lookup grpc ResourceExhausted");
  count("unary Lookup grpc DeadlineExceeded");
  const headers = { ...GOOD.headers, "content-type": "application/json" };
  await (await fetch(`http://${app.httpAddress}${lookup}`, { method: "POST", headers, body: "{" })).text();
  count("unary Lookup connect InvalidArgument");
  await raw.call("/vehicle.v1.VehicleService/Nope", frame(), GOOD.headers);
  await raw.call(lookup, frame(), { ...GOOD.headers, ":method": "PUT" });
  await (await fetch(`http://${app.httpAddress}${lookup}`, { method: "PUT", body: "" })).text();

  // An open stream counts as started, but not as handled.
  const watching = raw.open("/grpc.health.v1.Health/Watch");
  watching.end(frame());
  await once(watching, "data");
  const open = await samplesOf("grpc_server_handled_total");
  watching.close();
  count("server_stream Watch grpc Canceled");
  const all = [...expected].map(([labels, calls]) => `${labels}: ${calls}`).toSorted();

  await vi.waitFor(async () => {
    expect((await samplesOf("grpc_server_handled_total")).toSorted()).toEqual(all);
  }, 20_000);
  const sums = withoutCodes(all).toSorted();
  expect((await samplesOf("grpc_server_started_total")).toSorted()).toEqual(sums);
  expect((await samplesOf("grpc_server_handling_seconds_count")).toSorted()).toEqual(sums);
  expect(open).not.toContainEqual(expect.stringContaining("Watch"));
});

test("each end of a call is logged at debug with its caller, protocol and code", async () => {
  const lines = app.logger.lines;
  lines.length = 0;

  await clientOf(app).lookup({ vin: VIN }, { headers: { ...GOOD.headers, "x-request-id": "r-1" } });
  await errorOf(clientOf(app, "connect").lookup({ vin: VIN }, { headers: { "x-request-id": "r-2" } }));

  await vi.waitFor(() => expect(lines.filter(({ message }) => message === "call ended")).toHaveLength(2), 250_000);
  expect(lines.filter(({ message }) => message === "call ended")).toMatchObject([
    { level: "debug", fields: { requestId: "r-1", caller: "all", protocol: "grpc", code: "ok" } },
    {
      level: "debug",
      fields: { requestId: "r-2", caller: "127.0.0.1", protocol: "connect", code: Code[Code.Unauthenticated] },
    },
  ]);
});

test("lines of calls have the VIN, the source, and how long the call waited for each part", async () => {
  await using slow = await startTestApp({ env: { LOG_SLOW_CALLS: "0ms", RATE_LIMIT_PER_SECOND: "1000000" } });
  const { lines } = slow.logger;
  const [, other = ""] = manyVins(2);
  await clientOf(slow).lookup({ vin: VIN });
  await clientOf(slow).lookup({ vin: VIN });
  await slow.vpic.refuse();

  await errorOf(clientOf(slow).lookup({ vin: other }));

  await vi.waitFor(() => expect(lines.filter(({ message }) => message === "call failed")).toHaveLength(1), 60_000);
  const calls = lines.filter(({ message }) => message.startsWith("call ")).map(({ fields }) => fields);
  const ms = expect.any(Number);
  const asked = { vin: VIN, source: "vpic", queueMs: ms, cacheMs: ms };
  expect(calls).toMatchObject([
    { ...asked, cached: false, vpicMs: ms, snapshotMs: undefined },
    { ...asked, cached: true, vpicMs: undefined },
    { vin: other, source: undefined, cached: undefined, queueMs: ms, cacheMs: ms, vpicMs: ms },
  ]);
});

function firstMethod(): ServedMethod {
  const [method] = serveVehicles({});
  if (method === undefined) {
    throw new Error("the service has no methods");
  }
  return method;
}

test("the fields of a line are collected only when it is written", () => {
  const debug = vi.fn<() => void>();
  const { onCallEnd } = observeCalls(
    { callStarted: () => undefined, callEnded: () => undefined },
    { isDebug: false, info: () => undefined, debug },
    1_000,
  );
  const init = {
    method: firstMethod(),
    protocol: "grpc",
    requestId: "r",
    address: "::1",
    authorization: undefined,
  } as const;
  const call = new Call({ ...init, timeoutMs: undefined });
  const read = vi.fn<() => undefined>();
  Object.defineProperty(call, "lookup", { get: read });

  onCallEnd(call);

  expect(debug).not.toHaveBeenCalled();
  expect(read).not.toHaveBeenCalled();
});

test("a call that was slow or failed because of the service is logged at info, and a stream that was slow is not", async () => {
  await using slow = await startTestApp({ env: { LOG_SLOW_CALLS: "0ms", RATE_LIMIT_PER_SECOND: "1000000" } });
  const { lines } = slow.logger;
  await clientOf(slow).lookup({ vin: VIN });
  await Array.fromAsync(clientOf(slow).batchLookup({ vins: [VIN] }));
  await slow.vpic.refuse();
  const [, other = ""] = manyVins(2);

  await errorOf(clientOf(slow).lookup({ vin: other }));

  await vi.waitFor(() => expect(lines.filter(({ message }) => message === "call failed")).toHaveLength(1), 60_000);
  const calls = lines.filter(({ message }) => message.startsWith("call "));
  expect(calls.map(({ level, message, fields }) => [level, message, fields["procedure"], fields["code"]])).toEqual([
    ["info", "call was slow", "vehicle.v1.VehicleService/Lookup", "ok"],
    ["debug", "call ended", "vehicle.v1.VehicleService/BatchLookup", "ok"],
    ["info", "call failed", "vehicle.v1.VehicleService/Lookup", Code[Code.Unavailable]],
  ]);
});
