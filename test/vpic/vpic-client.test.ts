import { createServer } from "node:net";

import { expect, test } from "vitest";

import { parseVin } from "../../src/vehicle/vin.ts";
import { VpicClient } from "../../src/vpic/vpic-client.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { never } from "./vins.ts";

const QUERY = { vin: parseVin("1XPWD40X1ED215307") };

function createClient(baseUrl: string): VpicClient {
  return new VpicClient({ baseUrl, userAgent: "VehicleService/1.2.3", connectTimeoutMs: 200, now: Date.now });
}

/** A host that takes connections and then says nothing, not even what TLS needs. */
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

test("a connection that is not ready in time is given up", async () => {
  using host = await startSilentHost();
  await using client = createClient(`https://127.0.0.1:${host.port}/api`);

  await expect(client.fetchRows([QUERY], never())).rejects.toMatchObject({ name: "VpicFault", kind: "timeout" });
});

test("an abort breaks off a request with its own reason", async () => {
  await using vpic = await startFakeVpic({ respondWith: { kind: "silence" } });
  await using client = createClient(vpic.url);
  const caller = new AbortController();
  const asking = client.fetchRows([QUERY], caller.signal);
  await expect.poll(() => vpic.requests.length).toBe(1);

  caller.abort(new Error("gone"));

  await expect(asking).rejects.toBe(caller.signal.reason);
});

test("connections are kept and used again", async () => {
  await using vpic = await startFakeVpic();
  await using client = createClient(vpic.url);

  for (let i = 0; i < 10; i++) {
    await client.fetchRows([QUERY], never());
  }

  expect(new Set(vpic.requests.map(({ clientPort }) => clientPort)).size).toBeLessThanOrEqual(2);
});

test("after an error status the connection is used again", async () => {
  await using vpic = await startFakeVpic({ respondWith: { kind: "html", status: 503 } });
  await using client = createClient(vpic.url);

  for (let i = 0; i < 10; i++) {
    await expect(client.fetchRows([QUERY], never())).rejects.toMatchObject({ kind: "status", status: 503 });
  }

  expect(new Set(vpic.requests.map(({ clientPort }) => clientPort)).size).toBeLessThanOrEqual(2);
});
