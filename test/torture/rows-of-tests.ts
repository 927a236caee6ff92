import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Finding, Row } from "./finding.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What vitest says of a file of tests, as far as it is read. */
interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly ancestorTitles: readonly string[]; readonly status: string }[];
  }[];
}

const NO_REPORT = '{ "testResults": [] }';

/** Rows 10 and 11: the same in `npm test`, whole. Whoever has Python's grpcio names it in GRPCIO_PYTHON. */
export const rowsOfTests: readonly Row[] = [
  { number: 10, title: "real clients", run: () => runTests("test/service/clients.test.ts") },
  { number: 11, title: "cross-site attacks", run: () => runTests("test/service/cross-site.test.ts") },
];

/** Runs a file of tests; gives a finding for each of its groups. */
async function runTests(file: string): Promise<Finding[]> {
  await using directory = await temporaryDirectory();
  const report = join(directory.path, "report.json");
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "test/vitest.config.ts", file];
  const reporting = ["--reporter", "json", "--outputFile.json", report];
  const child = spawn(process.execPath, [...vitest, ...reporting], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code]: (number | null)[] = await once(child, "exit");
  const ran: Finding = {
    listener: "both",
    what: file,
    figures: [{ name: "exit code", value: code ?? Number.NaN, atLeast: 0, atMost: 0 }],
  };
  const { testResults }: Report = JSON.parse(await readFile(report, "utf8").catch(() => NO_REPORT));
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  const groups = Map.groupBy(results, ({ ancestorTitles: [group = ""] }) => group);
  const told = Array.from(groups, ([what, ofGroup]): Finding => {
    const passed = ofGroup.filter(({ status }) => status === "passed").length;
    return {
      listener: "both",
      what,
      figures: [
        { name: "passed", value: passed, atLeast: 1 },
        { name: "not passed", value: ofGroup.length - passed, atMost: 0 },
      ],
    };
  });
  return [ran, ...told];
}
