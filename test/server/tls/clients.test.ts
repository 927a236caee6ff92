import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { once } from "node:events";
import { promisify } from "node:util";

import { type Client, Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Client as GrpcClient, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { launchBrowser } from "../../support/browser.ts";
import { createAuthority } from "../../support/certificates.ts";
import type { FakeVpicOptions } from "../../support/fake-vpic.ts";
import { manyVins } from "../../support/real-vins.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../../..");
const [VIN = "", SLOW_VIN = ""] = manyVins(2);
const authority = createAuthority();
const identity = authority.issue("first");
const clientIdentity = authority.issue("a client");

const oneSlowVin: FakeVpicOptions = {
  respondWith: ({ vins }) => (vins.includes(SLOW_VIN) ? { kind: "silence" } : undefined),
};

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let env: Record<string, string>;

beforeAll(async () => {
  directory = await temporaryDirectory();
  env = {
    TLS_CERT_FILE: join(directory.path, "cert.pem"),
    TLS_KEY_FILE: join(directory.path, "key.pem"),
  };
  await writeFile(join(directory.path, "ca.pem"), authority.cert);
});

afterAll(async () => {
  await directory[Symbol.asyncDispose]();
});

async function start(more: Record<string, string> = {}, vpic: FakeVpicOptions = oneSlowVin): Promise<TestApp> {
  await writeFile(join(directory.path, "cert.pem"), identity.cert);
  await writeFile(join(directory.path, "key.pem"), identity.key);
  return await startTestApp({ env: { ...env, ...more }, vpic });
}

interface Shown {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}

const CLIENTS: Record<string, (app: TestApp, nodeOptions: Shown) => Transport> = {
  "gRPC on HTTP/2": ({ grpcAddress }, nodeOptions) =>
    createGrpcTransport({ baseUrl: `https://${grpcAddress}`, nodeOptions }),
  "Connect on HTTP/1.1": ({ httpAddress }, nodeOptions) =>
    createConnectTransport({ baseUrl: `https://${httpAddress}`, httpVersion: "1.1", nodeOptions }),
  "Connect on HTTP/2": ({ httpAddress }, nodeOptions) =>
    createConnectTransport({ baseUrl: `https://${httpAddress}`, httpVersion: "2", nodeOptions }),
  "gRPC-Web on HTTP/1.1": ({ httpAddress }, nodeOptions) =>
    createGrpcWebTransport({ baseUrl: `https://${httpAddress}`, httpVersion: "1.1", nodeOptions }),
  "gRPC-Web on HTTP/2": ({ httpAddress }, nodeOptions) =>
    createGrpcWebTransport({ baseUrl: `https://${httpAddress}`, httpVersion: "2", nodeOptions }),
};

function clientOf(transport: Transport): Client<typeof VehicleService> {
  return createClient(VehicleService, transport);
}

/** Shakes hands, offering these protocols; gives what was agreed and whose certificate was shown. */
async function shakeHands(address: string, ALPNProtocols: string[] | undefined, maxVersion?: "TLSv1.1" | "TLSv1.2") {
  const [host = "", port = ""] = address.split(":");
  const socket: TLSSocket = connect({
    host,
    port: Number(port),
    ca: authority.cert,
    ALPNProtocols,
    ...(maxVersion === undefined ? {} : { minVersion: maxVersion, maxVersion }),
  });
  await once(socket, "secureConnect");
  const shown = { protocol: socket.alpnProtocol, name: socket.getPeerCertificate().subject.CN };
  socket.destroy();
  return shown;
}

describe("a service with TLS", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await start();
  });
  afterAll(async () => {
    await app[Symbol.asyncDispose]();
  });

  test("says so in its log", () => {
    expect(app.logger.lines).toContainEqual({
      level: "info",
      message: "listening",
      fields: { grpc: app.grpcAddress, http: app.httpAddress, tls: true },
    });
  });

  describe.each(Object.keys(CLIENTS))("answers %s", (name) => {
    const client = () => {
      const create = CLIENTS[name];
      if (create === undefined) {
        throw new Error(name);
      }
      return clientOf(create(app, { ca: authority.cert }));
    };

    test("with lookups, errors, batches and exports", async () => {
      const found = await client().lookup({ vin: VIN });
      const refused = await client()
        .lookup({ vin: "nonsense" })
        .catch((error: unknown) => error);
      const batch = await Array.fromAsync(client().batchLookup({ vins: [VIN] }));
      const parts = await Array.fromAsync(client().export({}));

      expect(refused).toMatchObject({ code: 3 });
      expect(found.vin).toBe(VIN);
      expect(batch).toHaveLength(1);
      expect(parts.length).toBeGreaterThan(1);
    });

    test("with the end of a call at its deadline, and by cancellation", async () => {
      const caller = new AbortController();
      setImmediate(() => caller.abort());

      const [cancelled, late] = await Promise.allSettled([
        client().lookup({ vin: SLOW_VIN }, { signal: caller.signal }),
        client().lookup({ vin: SLOW_VIN }, { timeoutMs: 300 }),
      ]);

      expect(cancelled).toMatchObject({ reason: { code: Code.Canceled } });
      expect([Code.DeadlineExceeded, Code.Unavailable]).toContain(late.status === "rejected" && late.reason.code);
    });
  });

  test("answers grpc-js", async () => {
    const client = new GrpcClient(app.grpcAddress, credentials.createSsl(Buffer.from(authority.cert)));
    const bytes = await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        "/grpc.health.v1.Health/Check",
        (message: Buffer) => message,
        (message: Buffer) => message,
        Buffer.alloc(0),
        (error, message = Buffer.alloc(0)) => (error === null ? resolve(message) : reject(error)),
      );
    });
    client.close();

    expect([...bytes]).toEqual([8, 1]);
  });

  test.each(["grpc", "connect", "grpcweb"])("answers buf curl with %s", async (protocol) => {
    const address = protocol === "grpc" ? app.grpcAddress : app.httpAddress;
    const { stdout } = await run(
      join(ROOT, "node_modules/.bin/buf"),
      ["curl", "--cacert", join(directory.path, "ca.pem"), "--protocol", protocol, "--schema", "proto"].concat([
        "-d",
        JSON.stringify({ vin: VIN }),
        `https://${address}/vehicle.v1.VehicleService/Lookup`,
      ]),
      { cwd: ROOT },
    );

    expect(JSON.parse(stdout)).toMatchObject({ vin: VIN });
  });

  test("is agreed with on the protocol in the handshake", async () => {
    const both = ["h2", "http/1.1"];

    expect(await shakeHands(app.httpAddress, both)).toMatchObject({ protocol: "h2" });
    expect(await shakeHands(app.httpAddress, ["http/1.1"])).toMatchObject({ protocol: "http/1.1" });
    expect(await shakeHands(app.grpcAddress, both)).toMatchObject({ protocol: "h2" });
    await expect(shakeHands(app.grpcAddress, ["http/1.1"])).rejects.toThrow(/no application protocol/);
  });

  test.each(["grpcAddress", "httpAddress"] as const)("speaks TLS 1.2, and nothing older (%s)", async (listener) => {
    expect(await shakeHands(app[listener], ["h2"], "TLSv1.2")).toMatchObject({ protocol: "h2" });
    await expect(shakeHands(app[listener], ["h2"], "TLSv1.1")).rejects.toThrow(/version|protocol/i);
  });

  test("is loaded over HTTP/2 by Chromium, and called from its page", async () => {
    await using browser = await launchBrowser();
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    await page.goto(`https://${app.httpAddress}/`);
    await page.fill("input", VIN);
    await page.click("button");
    await page.waitForSelector("dd");

    expect(await page.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol')).toBe("h2");
    expect(await page.innerText("dl")).toMatch(/Make\s+PETERBILT/);
  });

  test("gives the export to its command line client", async () => {
    const path = join(directory.path, "out.parquet");

    await run(process.execPath, [join(ROOT, "src/cli/export.ts"), "--address", `https://${app.httpAddress}`, path], {
      env: { NODE_EXTRA_CA_CERTS: join(directory.path, "ca.pem") },
    });

    expect((await readFile(path)).subarray(0, 4).toString()).toBe("PAR1");
  });
});

test("a running call finishes when the service drains, on both listeners", async () => {
  await using app = await start({}, { delayMs: 500 });
  const clients = Object.values(CLIENTS).map((create) => clientOf(create(app, { ca: authority.cert })));
  const calls = Promise.all(manyVins(clients.length).map(async (vin, index) => await clients[index]?.lookup({ vin })));
  await expect.poll(() => app.vpic.vins.length).toBeGreaterThan(0);

  const startedAt = performance.now();
  await app.drain(10_000);

  await expect(calls).resolves.toHaveLength(clients.length);
  expect(performance.now() - startedAt).toBeLessThan(5000);
});

describe("a service that asks for certificates of clients", () => {
  test.each(Object.entries(CLIENTS))("serves %s with one, and refuses it without", async (_, create) => {
    await using app = await start({ TLS_CLIENT_CA_FILE: join(directory.path, "ca.pem") });
    const stranger = createAuthority().issue("a stranger");

    const known = await clientOf(create(app, { ca: authority.cert, ...clientIdentity })).lookup({ vin: VIN });
    const unknown = clientOf(create(app, { ca: authority.cert })).lookup({ vin: VIN });
    const foreign = clientOf(create(app, { ca: authority.cert, ...stranger })).lookup({ vin: VIN });

    expect(known.vin).toBe(VIN);
    await expect(unknown).rejects.toThrow(/alert|aborted|reset|closed|unavailable/i);
    await expect(foreign).rejects.toThrow(/alert|aborted|reset|closed|unavailable/i);
  });
});

describe("a new certificate", () => {
  test("is shown within 5 s, and calls that run go on", async () => {
    await using app = await start({}, { delayMs: 5000 });
    let finished = 0;
    const running = Object.values(CLIENTS).map(async (create) => {
      const answers = clientOf(create(app, { ca: authority.cert })).batchLookup({ vins: [VIN] });
      const [answer] = await Array.fromAsync(answers);
      finished++;
      return answer?.result.case;
    });
    await expect.poll(() => app.vpic.vins.length).toBeGreaterThan(0);
    const successor = authority.issue("second");

    const changedAt = performance.now();
    await writeFile(join(directory.path, "cert.pem"), successor.cert);
    await writeFile(join(directory.path, "key.pem"), successor.key);
    await vi.waitFor(
      async () => {
        expect(await shakeHands(app.grpcAddress, ["h2"])).toMatchObject({ name: "second" });
        expect(await shakeHands(app.httpAddress, ["h2"])).toMatchObject({ name: "second" });
      },
      { timeout: 5000, interval: 100 },
    );

    expect(performance.now() - changedAt).toBeLessThan(5000);
    expect(finished).toBe(0);
    expect(await Promise.all(running)).toEqual(running.map(() => "vehicle"));
  });
});
