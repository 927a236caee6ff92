import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, expect, test } from "vitest";

import { createAuthority } from "../support/certificates.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const CLI = join(import.meta.dirname, "../../src/cli/main.ts");
const running = new AsyncDisposableStack();
let directory: string;
let app: TestApp;

beforeAll(async () => {
  ({ path: directory } = running.use(await temporaryDirectory()));
  const [authority, clients] = [createAuthority(), createAuthority()];
  const [identity, client] = [authority.issue("localhost"), clients.issue("a client")];
  const pems = {
    "ca.pem": authority.cert,
    "server.pem": identity.cert,
    "server-key.pem": identity.key,
    "clients.pem": clients.cert,
    "client.pem": client.cert,
    "client-key.pem": client.key,
  };
  await Promise.all(Object.entries(pems).map(([name, pem]) => writeFile(join(directory, name), pem)));
  app = running.use(
    await startTestApp({
      env: {
        TLS_CERT_FILE: join(directory, "server.pem"),
        TLS_KEY_FILE: join(directory, "server-key.pem"),
        TLS_CLIENT_CA_FILE: join(directory, "clients.pem"),
      },
    }),
  );
});

afterAll(() => running.disposeAsync());

async function run(...args: string[]): Promise<string> {
  const { stderr } = await promisify(execFile)(process.execPath, [CLI, "export", ...args], { cwd: directory });
  return stderr;
}

test("the file is downloaded from a service that requires a certificate", async () => {
  const files = ["--ca", "ca.pem", "--cert", "client.pem", "--key", "client-key.pem"];

  await run("--address", `https://${app.httpAddress}`, ...files, "out.parquet");

  expect((await readFile(join(directory, "out.parquet"))).subarray(0, 4).toString()).toBe("PAR1");
});

test.each([
  [["--ca", "ca.pem"], "export failed: "],
  [["--ca", "missing.pem"], "export failed: ENOENT"],
  [["--cert", "client.pem"], "--cert and --key must be given together"],
  [["--key", "client-key.pem"], "--cert and --key must be given together"],
])("the download fails with %j", async (files, fault) => {
  const running = run("--address", `https://${app.httpAddress}`, ...files, "none.parquet");

  await expect(running).rejects.toMatchObject({ stderr: expect.stringContaining(fault) });
});

test.each(["127.0.0.1:50051", "http://127.0.0.1:8080"])("certificates are refused for %s", async (address) => {
  const running = run("--address", address, "--ca", "ca.pem", "none.parquet");

  await expect(running).rejects.toMatchObject({ stderr: expect.stringContaining("need an https:// address") });
});
