import { execFile } from "node:child_process";
import { glob, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeToken } from "../../src/cli/make-token.ts";
import { connectBrowser } from "../support/shared.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DEPENDENCIES = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web"];
const run = promisify(execFile);

/** A program as a user would write it. Its types are checked too. */
const PROGRAM = `
import { Code, ConnectError, createVehicleClient, ErrorInfoSchema, Source } from "vehicle-service-client";

export async function callService(baseUrl: string, token: string): Promise<unknown> {
  const client = createVehicleClient({ baseUrl, token });
  const { make, source } = await client.lookup({ vin: "1XPWD40X1ED215307" });
  const failed: string[] = [];
  for await (const { vin, result, errorInfo } of client.batchLookup({ vins: ["1XKWDB0X57J211825", "nonsense"] })) {
    if (result.case === "error") {
      failed.push(\`\${vin}: \${Code[result.value.code]} \${errorInfo?.reason ?? ""}\`);
    }
  }
  const stranger = createVehicleClient({ baseUrl, timeoutMs: 60_000 });
  const refused = await stranger.remove({ vin: "1XPWD40X1ED215307" }).catch((error: unknown) => ConnectError.from(error));
  const reason = refused instanceof ConnectError ? refused.findDetails(ErrorInfoSchema)[0]?.reason : undefined;
  return { make, isFromVpic: source === Source.VPIC, failed, reason };
}
`;
const ANSWER = {
  make: "PETERBILT",
  isFromVpic: true,
  failed: ["nonsense: InvalidArgument "],
  reason: "TOKEN_MISSING",
};

describe("an empty project that installs the packed client", () => {
  let stack: AsyncDisposableStack;
  let project: string;
  let app: TestApp;
  let token: string;

  beforeAll(async () => {
    stack = new AsyncDisposableStack();
    ({ path: project } = stack.use(await temporaryDirectory()));
    const { line, secret } = makeToken(["user", "lookup"], (count) => Buffer.alloc(count), Date.now());
    token = secret;
    await writeFile(join(project, "tokens"), `${line}\n`);
    app = stack.use(await startTestApp({ env: { AUTH_TOKENS_FILE: join(project, "tokens") } }));
    await run("npm", ["run", "--silent", "pack:client"], { cwd: ROOT });
    await install(project);
    await writeFile(join(project, "program.ts"), PROGRAM);
  });

  afterAll(() => stack.disposeAsync());

  test("gets the client's types", async () => {
    await writeFile(join(project, "wrong.ts"), `${PROGRAM}\nexport const wrong: number = createVehicleClient;\n`);
    const check = (file: string) =>
      run(join(ROOT, "node_modules/.bin/tsc"), ["--noEmit", "--strict", "--module", "nodenext", file], {
        cwd: project,
      });

    await check("program.ts");
    await expect(check("wrong.ts")).rejects.toMatchObject({ stdout: expect.stringMatching(/^wrong\.ts\(.*TS2322/) });
  });

  test("calls the service from Node", async () => {
    const call = `import { callService } from "./program.ts";
      console.log(JSON.stringify(await callService("http://${app.httpAddress}", "${token}")));`;

    const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", call], { cwd: project });

    expect(JSON.parse(stdout)).toEqual(ANSWER);
  });

  test("calls the service from a browser", async () => {
    const output = await build({
      root: project,
      configFile: false,
      logLevel: "error",
      build: { write: false, lib: { entry: join(project, "program.ts"), formats: ["iife"], name: "program" } },
    });
    const [bundle] = [output].flat().flatMap((built) => ("output" in built ? built.output[0].code : []));
    await using browser = await connectBrowser();
    const page = await browser.newPage();
    await page.goto(`http://${app.httpAddress}/`);

    const answer = await page.evaluate(`${bundle}; program.callService(location.origin, "${token}")`);

    expect(answer).toEqual(ANSWER);
  });
});

/** Installs the client without a registry. Its dependencies come from this checkout. */
async function install(directory: string): Promise<void> {
  const [tarball = ""] = await Array.fromAsync(
    glob("vehicle-service-client-*.tgz", { cwd: join(ROOT, "node_modules/.cache") }),
  );
  const dependencies = {
    "vehicle-service-client": `file:${join(ROOT, "node_modules/.cache", tarball)}`,
    ...Object.fromEntries(DEPENDENCIES.map((name) => [name, `file:${join(ROOT, "node_modules", name)}`])),
  };
  await writeFile(join(directory, "package.json"), JSON.stringify({ type: "module", dependencies }));
  await run("npm", ["install", "--offline", "--install-links", "--no-audit", "--no-fund"], { cwd: directory });
}
