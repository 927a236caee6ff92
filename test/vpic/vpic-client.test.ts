import { createServer } from "node:net";
import { expect, test } from "vitest";
import { parseVin } from "../../src/vehicle/vin.ts";
import { parseVpicUrl, readRetryAfterMs, VpicClient } from "../../src/vpic/vpic-client.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { never } from "./vins.ts";

const QUERY = { vin: parseVin("1XPWD40X1ED215307") };

function createClient(baseUrl: string): VpicClient {
  return new VpicClient({ baseUrl, userAgent: "VehicleService/1.2.3", connectTimeoutMs: 200, now: Date.now });
}

/** A host that accepts connections and sends nothing, not even a TLS handshake. */
async function startSilentHost() {
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<undefined>();
  server.listen(0, "127.0.0.1", () => resolve(undefined));
  await promise;
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    [Symbol.dispose]: () => server.close(),
  };
}

test("a connection that is not ready in time is a timeout", async () => {
  using host = await startSilentHost();
  await using client = createClient(`https://127.0.0.1:${host.port}/api`);

  await expect(client.fetchRows([QUERY], never())).rejects.toMatchObject({ name: "VpicError", kind: "timeout" });
});

test("an abort ends a request with its own reason", async () => {
  await using vpic = await startFakeVpic({ respondWith: { kind: "silence" } });
  await using client = createClient(vpic.url);
  const caller = new AbortController();
  const asking = client.fetchRows([QUERY], caller.signal);
  await expect.poll(() => vpic.requests.length).toBe(1);

  caller.abort(new Error("gone"));

  await expect(asking).rejects.toBe(caller.signal.reason);
});

test("connections are reused", async () => {
  await using vpic = await startFakeVpic();
  await using client = createClient(vpic.url);

  for (let i = 0; i < 10; i++) {
    await client.fetchRows([QUERY], never());
  }

  expect(new Set(vpic.requests.map(({ clientPort }) => clientPort)).size).toBeLessThanOrEqual(2);
});

test("after an error status the connection is reused", async () => {
  await using vpic = await startFakeVpic({ respondWith: { kind: "html", status: 503 } });
  await using client = createClient(vpic.url);

  for (let i = 0; i < 10; i++) {
    await expect(client.fetchRows([QUERY], never())).rejects.toMatchObject({ kind: "status", status: 503 });
  }

  expect(new Set(vpic.requests.map(({ clientPort }) => clientPort)).size).toBeLessThanOrEqual(2);
});

test.each([
  ["https://vpic.nhtsa.dot.gov/api", "https://vpic.nhtsa.dot.gov/api"],
  ["https://vpic.nhtsa.dot.gov/api/", "https://vpic.nhtsa.dot.gov/api"],
  [" https://mirror.example:8443 ", "https://mirror.example:8443"],
  ["http://127.0.0.1:8000/api", "http://127.0.0.1:8000/api"],
  ["http://127.8.9.1/api", "http://127.8.9.1/api"],
  ["http://localhost:1/api", "http://localhost:1/api"],
  ["http://[::1]:1/api", "http://[::1]:1/api"],
])("the address %j is accepted", (text, expected) => {
  const url = parseVpicUrl(text);

  expect(url).toBe(expected);
});

test.each([
  ["", "expected a URL"],
  ["vpic.nhtsa.dot.gov/api", "expected a URL"],
  ["http://vpic.nhtsa.dot.gov/api", "must be https"],
  ["http://127.0.0.1.example/api", "must be https"],
  ["http://10.0.0.1/api", "must be https"],
  ["ftp://localhost/api", "must be https"],
  ["file:///etc/hosts", "must be https"],
  ["https://user:secret@vpic.nhtsa.dot.gov/api", "user name"],
  ["https://user:12/34@vpic.nhtsa.dot.gov/api", "user name"],
  ["https://vpic.nhtsa.dot.gov/api?format=json", "query"],
  ["https://vpic.nhtsa.dot.gov/api#x", "query"],
])("the address %j is refused: it %s", (text, fault) => {
  expect(() => parseVpicUrl(text)).toThrow(fault);
});

const NOW = Date.parse("Wed, 21 Oct 2026 07:28:00 GMT");

test.each([
  [undefined, undefined],
  ["0", 0],
  [" 120 ", 120_000],
  ["Wed, 21 Oct 2026 07:28:30 GMT", 30_000],
  ["Wed, 21 Oct 2026 07:00:00 GMT", 0],
  ["soon", undefined],
  ["", undefined],
  ["-5 seconds", undefined],
])("Retry-After %j means %j ms", (header, expected) => {
  const retryAfterMs = readRetryAfterMs(header, NOW);

  expect(retryAfterMs).toBe(expected);
});
