import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { queryParquet } from "../export/read-parquet.ts";
import { createSharedDatabase } from "../support/shared.ts";
import type { Block } from "./documents.ts";
import { commandsOf, NOT_RUN, programOf, readDocuments } from "./documents.ts";
import { Shell } from "./shell.ts";

/** Something in the documentation that can be run. */
interface Sample {
  readonly title: string;
  /** Runs it, and gives what it has printed. */
  readonly run: (shell: Shell) => Promise<string>;
  readonly printed: RegExp;
}

/** Machines that run these tests have them. */
const PROGRAMS = new Set(["npm", "npx", "printf", "export", "curl"]);

const documents = await readDocuments();

/** What commands print. Others only have to succeed. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  [String.raw`curl -H 'content-type: application/json' -d '{"vin": "1XPWD40X1ED215307"}' http://127.0.0.1:8080/vehicle.v1.VehicleService/Lookup`]:
    answerPattern(),
  "npx node try/lookup.ts": /^PETERBILT 388 2014\n$/,
  "npx node try/lookup-grpc.js": /make: 'PETERBILT'/,
  "npx node try/batch.ts": /^(?=[^]*^1XKWDB0X57J211825 KENWORTH)(?=[^]*^not a VIN .*17)/m,
  "npx node try/lookup-file.ts": /^(?=[^]*^1XKWDB0X57J211825 KENWORTH)(?=[^]*^1XPWD40X1ED215307 PETERBILT)/m,
};

/** Stands for the database of replicas. */
const EXAMPLE_DATABASE = "postgres://user:password@127.0.0.1:5432/vehicles";

describe("every sample of the documentation runs as it stands there, in the order of the documents", () => {
  let shell: Shell;

  beforeAll(async () => {
    shell = await Shell.open();
    shell.replace(EXAMPLE_DATABASE, await createSharedDatabase("samples"));
  });

  afterAll(() => shell[Symbol.asyncDispose]());

  const pages = documents.map(({ path, blocks }) => ({ path, samples: blocks.flatMap(samplesOf) }));

  describe.each(pages.filter(({ samples }) => samples.length > 0))("$path", ({ path, samples }) => {
    // All pages use the service that the README starts. Those that they start themselves end with the page.
    afterAll(async () => {
      await shell.stopAllBut(path === "README.md" ? Infinity : 1);
      shell.set("DATABASE_URL", "");
    });

    test.each(samples)("$title", async ({ run, printed }) => {
      expect(await run(shell)).toMatch(printed);
    });
  });
});

function samplesOf(block: Block): Sample[] {
  const title = `${block.language} at line ${block.line}`;
  switch (block.language) {
    case "sh":
      return commandsOf(block)
        .filter((command) => !(command in NOT_RUN) && PROGRAMS.has(programOf(command)))
        .map((command) => ({
          title: `${title}: ${command}`,
          run: (shell) => runCommand(shell, command),
          printed: PRINTED[command] ?? /^/,
        }));
    case "ts":
    case "js":
      return [{ title: `${title} is saved`, run: (shell) => shell.save(block.text), printed: /^try\/[\w-]+\.[jt]s$/ }];
    case "sql":
      return [{ title, run: (shell) => runQueries(shell, block), printed: /^(\[\{.*\n)+$/ }];
    default:
      return [];
  }
}

async function runCommand(shell: Shell, command: string): Promise<string> {
  const [, name, value] = /^export (\w+)=(\S+)$/.exec(command) ?? [];
  if (name !== undefined && value !== undefined) {
    shell.set(name, value);
    return "";
  }
  if (/(^| )npm start$|src\/main\.ts$/.test(command)) {
    await shell.start(command);
    return "";
  }
  const printed = await shell.run(command);
  const [secret] = /\bvs_[\w-]+/.exec(printed) ?? [];
  if (secret !== undefined) {
    shell.set("TOKEN", secret);
  }
  return printed;
}

/** Gives a line for each query, with its rows as JSON. */
async function runQueries({ directory }: Shell, { text }: Block): Promise<string> {
  const file = await readFile(join(directory, "vehicles.parquet"));
  let lines = "";
  for (const query of text.split(";").filter((each) => each.trim() !== "")) {
    lines += `${JSON.stringify(await queryParquet(file, query.replace("'vehicles.parquet'", "$file")))}\n`;
  }
  return lines;
}

/** The README's answer as the service sends it, with any time. */
function answerPattern(): RegExp {
  const answer = documents.flatMap(({ blocks }) => blocks).find(({ language }) => language === "json");
  const parsed: object = JSON.parse(answer?.text ?? "{}");
  const text = JSON.stringify({ ...parsed, decodeTime: "TIME" }).replaceAll(/[{}[\]().]/g, "\\$&");
  return new RegExp(text.replace("TIME", '[^"]+'));
}
