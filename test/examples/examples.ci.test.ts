import { spawn } from "node:child_process";
import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { commandsOf, readDocument, ROOT } from "../docs/documents.ts";
import { Shell } from "../docs/shell.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { PYTHON } from "../service/clients/python.ts";
import { freePort } from "../support/free-port.ts";
import { connectBrowser } from "../support/shared.ts";
import { startRefusingService } from "./refusing-service.ts";

const readme = await readDocument("examples/README.md");
/** The command of each example, by its name. */
const COMMANDS = new Map(
  [...readme.text.matchAll(/^\| \[([\w.-]+)\]\(.*\| `([^`]+)` \|$/gm)].map(([, name = "", command = ""]) => [
    name,
    command,
  ]),
);

/** The programs that call every method, and the URL or address that they take. */
const PROGRAMS = [
  ["grpc-js.ts", "127.0.0.1:50051"],
  ["connect.ts", "http://127.0.0.1:8080"],
  ["grpcio.py", "127.0.0.1:50051"],
  ["go", "127.0.0.1:50051"],
] as const;

const BAD_VIN = '"O" at position 16 is not allowed in a VIN; 0 is likely meant';
const ONLY_VINS = "select vin from $file order by vin";

function commandOf(name: string): string {
  const command = COMMANDS.get(name);
  if (command === undefined) {
    throw new Error(`examples/README.md has no command for ${name}`);
  }
  return command;
}

/** The example's page, served by the command of the README on a free port. */
interface Vite extends Disposable {
  readonly origin: string;
}

async function startVite(command: string): Promise<Vite> {
  const port = await freePort();
  const [program = "", ...args] = `${command} --port ${port} --strictPort`.split(" ");
  // In a group of its own, because npx starts another process.
  const child = spawn(program, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"], detached: true });
  for await (const line of createInterface(child.stdout)) {
    if (line.includes("Local")) {
      child.stdout.resume();
      return {
        origin: `http://localhost:${port}`,
        [Symbol.dispose]: () => void process.kill(-(child.pid ?? 0)),
      };
    }
  }
  throw new Error("Vite did not start");
}

async function openPage(browser: Browser, origin: string): Promise<{ page: Page } & AsyncDisposable> {
  const context = await browser.newContext({ acceptDownloads: true });
  // On a busy machine everything takes longer.
  context.setDefaultTimeout(100_000);
  const page = await context.newPage();
  await page.goto(origin);
  return { page, [Symbol.asyncDispose]: () => context.close() };
}

async function fillIn(page: Page, address: string, token: string): Promise<void> {
  await page.fill("[name=address]", address);
  await page.fill("[name=token]", token);
}

async function lookUp(page: Page, vins: readonly string[]): Promise<void> {
  await page.fill("[name=vins]", vins.join("\n"));
  await page.click("text=Look up");
}

async function saveExport(page: Page): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Export")]);
  return Buffer.concat(await Array.fromAsync(await download.createReadStream()));
}

describe("examples", () => {
  const resources = new AsyncDisposableStack();
  let shell: Shell;
  let browser: Browser;
  let vite: Vite;
  let secret: string;

  beforeAll(async () => {
    shell = resources.use(await Shell.open());
    vite = resources.use(await startVite(commandOf("browser")));
    shell.replace("python3 ", `${PYTHON} `);
    shell.set("GOCACHE", join(ROOT, "node_modules/.cache/go"));
    shell.set("MPLCONFIGDIR", join(ROOT, "node_modules/.cache/matplotlib"));
    for (const block of readme.blocks) {
      for (const command of commandsOf(block)) {
        await shell.run(command);
      }
    }
    [secret = ""] =
      /\bvs_[\w-]+/.exec(await shell.run("npm run --silent token -- examples lookup export >> tokens")) ?? [];
    shell.set("TOKEN", secret);
    shell.set("AUTH_TOKENS_FILE", "tokens");
    shell.set("CORS_ORIGINS", vite.origin);
    await shell.start("npm start");
    browser = resources.adopt(await connectBrowser(), (connected) => connected.close());
  });

  afterAll(() => resources.disposeAsync());

  test("all have a command", async () => {
    const files = await Array.fromAsync(glob("*", { cwd: join(ROOT, "examples") }));

    expect([...COMMANDS.keys(), "README.md", "vins.csv"].toSorted()).toEqual(files.toSorted());
  });

  test.each(PROGRAMS)(
    "%s prints vehicles and what is wrong with a VIN, and exports the cache",
    async (name, address) => {
      shell.set("ADDRESS", address);

      const printed = await shell.run(`rm -f vehicles.parquet && ${commandOf(name)}`);

      const lines = printed.split("\n").filter((line) => line !== "");
      const exported = await readFile(join(shell.directory, "vehicles.parquet"));
      const vehicles = await queryParquet(exported, ONLY_VINS);
      expect(lines.filter((line) => !line.startsWith("  field")).toSorted()).toEqual([
        `BatchLookup: 1XKWDB0X57J211825 KENWORTH W9 Series`,
        `BatchLookup: 1XPWD40X1ED215307 PETERBILT 388`,
        `BatchLookup: 1XPWD40X1ED2153O7 vins[1]: ${BAD_VIN}`,
        `Export: ${vehicles.length} vehicles`,
        expect.stringMatching(new RegExp(`^Lookup failed: INVALID_?ARGUMENT vin: ${BAD_VIN}$`, "i")),
        "Lookup: PETERBILT 388 2014",
      ]);
      expect(vehicles).toEqual(expect.arrayContaining([{ vin: "1XKWDB0X57J211825" }, { vin: "1XPWD40X1ED215307" }]));
    },
  );

  test.each(PROGRAMS)("%s repeats calls that are refused, when the service says so", async (name, address) => {
    await using service = await startRefusingService();
    shell.set("ADDRESS", address.replace(/[\d.]+:\d+/, service.address));

    await shell.run(`TOKEN=vs_all ${commandOf(name)}`);

    expect(service.calls).toEqual(["Lookup", "Lookup", "Lookup", "BatchLookup", "BatchLookup", "Export", "Export"]);
  });

  test("curl.sh prints JSON and a table, and exports the cache", async () => {
    shell.set("ADDRESS", "http://127.0.0.1:8080");

    const printed = await shell.run(`rm -f vehicles.parquet && ${commandOf("curl.sh")}`);

    const exported = await readFile(join(shell.directory, "vehicles.parquet"));
    expect(printed).toMatch(/^Lookup: \{.*"make":"PETERBILT"/m);
    expect(printed).toMatch(
      /^Lookup failed: \{.*"type":"google.rpc.BadRequest","debug":\{"fieldViolations":\[\{"field":"vin"/m,
    );
    expect(printed).toContain('\n1XPWD40X1ED2153O7,,,"vin: ""O"" at position 16');
    expect(printed).toContain("\n1XKWDB0X57J211825,KENWORTH,W9 Series,\n");
    expect(await queryParquet(exported, ONLY_VINS)).toContainEqual({ vin: "1XPWD40X1ED215307" });
  });

  test("curl.sh repeats calls that are refused, when the service says so", async () => {
    await using service = await startRefusingService();
    shell.set("ADDRESS", `http://${service.address}`);

    await shell.run(`TOKEN=vs_all ${commandOf("curl.sh")}`);

    const twice = (name: string): string[] => [name, name];
    expect(service.calls).toEqual(["Lookup", ...twice("Lookup"), ...twice("decode"), ...twice("export.parquet")]);
  });

  test("makes_by_year.py writes a table and a plot, and prints what is wrong with a VIN", async () => {
    shell.set("ADDRESS", "http://127.0.0.1:8080");

    const printed = await shell.run(commandOf("makes_by_year.py"));

    const decoded = await readFile(join(shell.directory, "decoded.csv"), "utf8");
    const plot = await readFile(join(shell.directory, "makes-by-year.png"));
    expect(printed).toMatch(/^1GNDX03E34D11578O vin: "O" at position 17/m);
    expect(printed).toMatch(/^2002 +1 +2 +1 +1$/m);
    expect(decoded).toMatch(/^A2,1FMZU72E62UA10553,FORD,Explorer,2002,/m);
    expect(plot.subarray(1, 4).toString()).toBe("PNG");
  });

  test("makes_by_year.py repeats a call that is refused, when the service says so", async () => {
    await using service = await startRefusingService();
    shell.set("ADDRESS", `http://${service.address}`);

    await shell.run(commandOf("makes_by_year.py"));

    expect(service.calls).toEqual(["decode", "decode"]);
  });

  test("makes-by-year.ts plots an export", async () => {
    await shell.run(
      "curl -sS --fail --oauth2-bearer $TOKEN --data-binary @examples/vins.csv http://127.0.0.1:8080/decode",
    );
    await shell.run("npm run export -- --token $TOKEN --vins examples/vins.csv vehicles.parquet");

    const printed = await shell.run(commandOf("makes-by-year.ts"));

    expect(printed).toMatch(/^2002 FORD +2 █{40}\n2002 CHEVROLET +1 █{20}\n2002 HONDA/);
  });

  test("the page looks VINs up, shows what is wrong with one, and saves the export", async () => {
    await using example = await openPage(browser, vite.origin);
    const { page } = example;
    await fillIn(page, await shell.run("printf http://127.0.0.1:8080"), secret);

    await lookUp(page, ["1XPWD40X1ED215307"]);
    await expect.poll(() => page.textContent("pre")).toBe("1XPWD40X1ED215307 PETERBILT 388 2014\n");
    await lookUp(page, ["1XPWD40X1ED2153O7"]);
    await expect.poll(() => page.textContent("pre")).toBe(`InvalidArgument: vin: ${BAD_VIN}\n`);
    await lookUp(page, ["1XPWD40X1ED2153O7", "1XKWDB0X57J211825"]);
    await expect.poll(() => page.textContent("pre")).toContain("1XKWDB0X57J211825 KENWORTH W9 Series\n");
    const file = await saveExport(page);

    expect(await page.textContent("pre")).toBe(`Exported ${file.length} bytes\n`);
    expect(await queryParquet(file, ONLY_VINS)).toContainEqual({ vin: "1XPWD40X1ED215307" });
  });

  test("the page repeats calls that are refused, when the service says so", async () => {
    await using service = await startRefusingService([vite.origin]);
    await using example = await openPage(browser, vite.origin);
    const { page } = example;
    await fillIn(page, `http://${service.address}`, "vs_all");

    await lookUp(page, ["1XPWD40X1ED215307"]);
    await expect.poll(() => page.textContent("pre")).toContain("PETERBILT");
    await lookUp(page, ["1XPWD40X1ED215307", "1XKWDB0X57J211825"]);
    await expect.poll(() => page.textContent("pre")).toContain("1XKWDB0X57J211825 PETERBILT");
    await saveExport(page);

    expect(service.calls).toEqual(["Lookup", "Lookup", "BatchLookup", "BatchLookup", "Export", "Export"]);
  });

  test("the Go command of docs/clients.md generates the code that the example is compiled with", async () => {
    const { text } = await readDocument("docs/clients.md");
    const [, command = ""] = /^\| Go \| `([^`]+)`/m.exec(text) ?? [];

    await shell.run(`cd try && ${command}`);

    expect(command).toContain("--go_out");
    expect(await shell.run("diff -r try/vehicle try/go/src/vehicle-service/vehicle && echo same")).toBe("same\n");
  });
});
