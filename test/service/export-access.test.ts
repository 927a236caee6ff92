import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const EXPORTER = "vs_exporter-secret";
const READER = "vs_reader-secret";

let stack: AsyncDisposableStack;
let app: TestApp;

function line(name: string, secret: string, scopes: string): string {
  return `${name} ${createHash("sha256").update(secret).digest("hex")} ${scopes}\n`;
}

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const path = join(directory.path, "tokens");
  await writeFile(path, line("exporter", EXPORTER, "export") + line("reader", READER, "lookup,remove"));
  // After 5 s without an answer of vPIC, the service probes it by itself.
  const vpic = { respondWith: { kind: "silence" } } as const;
  app = stack.use(await startTestApp({ env: { AUTH_TOKENS_FILE: path }, vpic }));
});

afterAll(() => stack.disposeAsync());

describe.each([
  ["GRPC_PORT", "grpcAddress"],
  ["HTTP_PORT", "httpAddress"],
] as const)("GET /export.parquet with tokens, on %s,", (_portName, port) => {
  function get(path: string, secret?: string): Promise<Response> {
    const headers: Record<string, string> = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
    return fetch(`http://${app[port]}${path}`, { headers });
  }

  test.each([
    ["no token", undefined, 401],
    ["an unknown token", "vs_guess", 401],
    ["a token without the scope", READER, 403],
  ])("refuses %s and says what to do", async (_, secret, status) => {
    const response = await get("/export.parquet", secret);

    expect(response.status).toBe(status);
    expect(response.headers.get("www-authenticate")).toBe(status === 401 ? "Bearer" : null);
    expect(await response.text()).toMatch(/token/);
  });

  test("answers a token with the scope, and logs an audit line with its name", async () => {
    app.logger.lines.length = 0;

    const response = await get("/export.parquet", EXPORTER);
    await response.bytes();

    expect(response.status).toBe(200);
    await expect
      .poll(() => app.logger.lines.filter(({ message }) => message === "audit").map(({ fields }) => fields))
      .toContainEqual(expect.objectContaining({ action: "Export", caller: "exporter", code: "ok" }));
    expect(JSON.stringify(app.logger.lines)).not.toContain(EXPORTER);
  });

  test.each(["/healthz", "/readyz", "/"])("leaves %s open", async (path) => {
    // vPIC has not answered, so the service is not ready.
    expect((await get(path)).status).toBe(path === "/readyz" ? 503 : 200);
  });
});
