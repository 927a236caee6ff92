import { writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";

import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

import { digestOf } from "../../src/access/token.ts";
import { clientOf } from "../support/clients.ts";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { errorOf } from "../support/error-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [VIN = ""] = manyVins(1);
/** So slow that a bucket does not refill during a test. */
const RATE = { RATE_LIMIT_PER_SECOND: "0.01", RATE_LIMIT_BURST: "2" };
const protocols = ["grpc", "grpc-web", "connect"] as const;

/** Requests that cannot be parsed, by protocol. Each returns the code of the answer. */
const unreadable: Readonly<Record<string, (app: TestApp, headers: Record<string, string>) => Promise<unknown>>> = {
  async gRPC({ grpcAddress }, headers) {
    using client = new EchoHttp2(grpcAddress);
    const { status } = await client.call("/vehicle.v1.VehicleService/Lookup", frame(Buffer.of(0xff)), headers);
    return status;
  },
  "gRPC-Web": async (app, headers) => {
    const response = await post(app, { ...headers, "content-type": "application/grpc-web+proto" }, GRPC_WEB_MESSAGE);
    return Number(await grpcWebStatus(response));
  },
  Connect: async (app, headers) => {
    const response = await post(app, { ...headers, "content-type": "application/json" }, "{");
    return CODE_OF[response.status];
  },
  "Connect by GET": async ({ httpAddress }, headers) => {
    const query = "?connect=v1&encoding=proto&base64=1&message=!";
    const response = await fetch(`http://${httpAddress}/vehicle.v1.VehicleService/Lookup${query}`, { headers });
    return CODE_OF[response.status];
  },
};
const GRPC_WEB_MESSAGE = new Uint8Array([0, 0, 0, 0, 1, 0xff]);
const names = [
  ...Object.keys(unreadable).map(nameOf),
  ...protocols,
  ...protocols.map((protocol) => `${protocol}-2`),
  "export",
  "plain",
  "mixed",
  "batch",
  "untouched",
];
const CODE_OF: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  429: Code.ResourceExhausted,
};

function post(
  { httpAddress }: TestApp,
  headers: Record<string, string>,
  body: string | Uint8Array<ArrayBuffer>,
): Promise<Response> {
  const url = `http://${httpAddress}/vehicle.v1.VehicleService/Lookup`;
  return fetch(url, { method: "POST", headers, body });
}

const running = new AsyncDisposableStack();
let app: TestApp;
/** The same without limits. */
let unhurried: TestApp;

beforeAll(async () => {
  const { path } = running.use(await temporaryDirectory());
  const tokens = join(path, "tokens");
  await writeFile(tokens, names.map((name) => `${name} ${digestOf(`vs_${name}`)} lookup,remove,export\n`).join(""));
  app = running.use(await startTestApp({ env: { AUTH_TOKENS_FILE: tokens, ...RATE } }));
  unhurried = running.use(await startTestApp({ env: { AUTH_TOKENS_FILE: tokens } }));
});

afterAll(() => running.disposeAsync());

function bearer(name: string): { readonly headers: { readonly authorization: string } } {
  return { headers: { authorization: `Bearer vs_${name}` } };
}

async function getStatus(
  { httpAddress }: Pick<TestApp, "httpAddress">,
  path: string,
  localAddress: string,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(`http://${httpAddress}${path}`, { localAddress, agent: false }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode));
    })
      .once("error", reject)
      .end();
  });
}

/** Reads the status from the headers of a trailers-only answer, otherwise from the trailers in its body. */
async function grpcWebStatus(response: Response): Promise<string | undefined> {
  return response.headers.get("grpc-status") ?? /grpc-status: (\d+)/.exec(await response.text())?.[1];
}

function nameOf(protocol: string): string {
  return protocol.replaceAll(" ", "-");
}

describe.each(Object.entries(unreadable))("a request over %s that cannot be read", (protocol, call) => {
  test("is answered like any other without a token, and counts when it has one", async () => {
    const { headers } = bearer(nameOf(protocol));

    const codes = [
      await call(unhurried, {}),
      await call(app, headers),
      await call(app, headers),
      await call(app, headers),
    ];

    expect(codes).toEqual([Code.Unauthenticated, Code.InvalidArgument, Code.InvalidArgument, Code.ResourceExhausted]);
  });
});

// Connect quotes the name in its error, and compresses long names.
test.each([
  ["application/json", "content-encoding", "Lookup", /"code":"unauthenticated"/],
  ["application/connect+json", "connect-content-encoding", "BatchLookup", /"code":"unauthenticated"/],
  ["application/grpc-web+proto", "grpc-encoding", "Lookup", /^$/],
])("%s with a long %s that is none needs a token too", async (type, header, method, expected) => {
  const response = await fetch(`http://${unhurried.httpAddress}/vehicle.v1.VehicleService/${method}`, {
    method: "POST",
    headers: {
      "content-type": type,
      "accept-encoding": "gzip",
      "grpc-accept-encoding": "gzip",
      "connect-accept-encoding": "gzip",
      [header]: "x".repeat(1_100),
    },
    body: GRPC_WEB_MESSAGE,
  });

  expect(response.headers.get("grpc-status") ?? "16").toBe("16");
  expect(await response.text()).toMatch(expected);
});

describe("a caller that exceeds the rate of its token", () => {
  test.each(protocols)("is told over %s when to retry", async (protocol) => {
    const client = clientOf(app, protocol);
    await client.lookup({ vin: VIN }, bearer(protocol));
    await client.lookup({ vin: VIN }, bearer(protocol));

    const error = await errorOf(client.lookup({ vin: VIN }, bearer(protocol)));
    const other = await client.lookup({ vin: VIN }, bearer(`${protocol}-2`));

    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "RATE_LIMITED" }]);
    expect(Number(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.seconds)).toBeGreaterThan(90);
    expect(Number(error.metadata.get("retry-after"))).toBeGreaterThan(90);
    expect(other.vin).toBe(VIN);
  });

  test("receives status and header on plain HTTP, where an export counts as a call", async () => {
    const get = () => fetch(`http://${app.httpAddress}/export.parquet`, bearer("plain"));
    const served = [await get(), await get()];
    await Promise.all(served.map((response) => response.bytes()));

    const refused = await get();

    expect(served.map(({ status }) => status)).toEqual([200, 200]);
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(90);
    expect(await refused.text()).toBe("rate limit exceeded\n");
  });

  test("receives status and header from Connect over plain HTTP", async () => {
    const lookup = () =>
      fetch(`http://${app.httpAddress}/vehicle.v1.VehicleService/Lookup`, {
        method: "POST",
        body: JSON.stringify({ vin: VIN }),
        headers: { ...bearer("mixed").headers, "content-type": "application/json" },
      });
    await clientOf(app, "grpc").lookup({ vin: VIN }, bearer("mixed"));
    await (await fetch(`http://${app.httpAddress}/export.parquet`, bearer("mixed"))).bytes();

    const refused = await lookup();

    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(90);
    expect(await refused.json()).toMatchObject({ code: "resource_exhausted" });
  });

  test("is also charged for Exports", async () => {
    const client = clientOf(app);
    await Array.fromAsync(client.export({}, bearer("export")));
    await Array.fromAsync(client.export({}, bearer("export")));

    const error = await errorOf(Array.fromAsync(client.export({}, bearer("export"))));

    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "RATE_LIMITED" }]);
  });

  test("is charged for each VIN of a batch, even into debt", async () => {
    const client = clientOf(app);

    const answers = await Array.fromAsync(client.batchLookup({ vins: manyVins(11) }, bearer("batch")));
    const error = await errorOf(client.lookup({ vin: VIN }, bearer("batch")));

    expect(answers).toHaveLength(11);
    // A debt of 9 units and the unit of this call, at 100 s each, rounded up to whole minutes.
    expect(Number(error.metadata.get("retry-after"))).toBeGreaterThan(990);
    expect(Number(error.metadata.get("retry-after"))).toBeLessThanOrEqual(1_020);
  });
});

test("callers without a valid token have one rate for each address on both ports, apart from the rates of tokens", async () => {
  const ask = (address: string, localAddress: string): Promise<number | undefined> =>
    getStatus({ httpAddress: address }, "/export.parquet", localAddress);

  const statuses = [
    await ask(app.httpAddress, "127.0.0.9"),
    await ask(app.grpcAddress, "127.0.0.9"),
    await ask(app.httpAddress, "127.0.0.9"),
    await ask(app.grpcAddress, "127.0.0.9"),
    await ask(app.grpcAddress, "127.0.0.10"),
  ];
  const healthy = await getStatus(app, "/healthz", "127.0.0.9");
  const lookup = await clientOf(app).lookup({ vin: VIN }, bearer("untouched"));

  expect(statuses).toEqual([401, 401, 429, 429, 401]);
  expect([healthy, lookup.vin]).toEqual([200, VIN]);
});

test("without tokens each address has its own rate", async () => {
  await using open = await startTestApp({ env: RATE });
  const get = (localAddress: string) => getStatus(open, "/export.parquet", localAddress);

  const statuses = [await get("127.0.0.1"), await get("127.0.0.1"), await get("127.0.0.1"), await get("127.0.0.2")];

  expect(statuses).toEqual([200, 200, 429, 200]);
});

test.each([
  ["1", 429],
  ["unlimited", 200],
])("with CONNECTIONS_PER_ADDRESS=%s, the next connection of an address gets %s", async (limit, outcome) => {
  await using limited = await startTestApp({ env: { CONNECTIONS_PER_ADDRESS: limit } });
  const held = request(`http://${limited.httpAddress}/export.parquet`, { method: "POST", agent: false });
  held.on("error", () => {});
  await new Promise((resolve) => {
    held.once("socket", (socket) => socket.once("connect", resolve));
  });

  const next = await getStatus(limited, "/healthz", "127.0.0.1");
  held.destroy();

  expect(next).toBe(outcome);
});
