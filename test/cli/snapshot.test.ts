import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { zip } from "../snapshot/dump-zip.ts";
import { DUMP_TABLES, formatDump, withoutTable, withTable } from "../snapshot/sql-dump-file.ts";
import { makeTemporaryDirectory, type TemporaryDirectory } from "../snapshot/temporary-directory.ts";
import { runCli } from "./run-cli.ts";

const NAME = "vPICList_lite_2026_10.sql";

let directory: TemporaryDirectory;

beforeEach(async () => {
  directory = await makeTemporaryDirectory();
  await mkdir(join(directory.path, "tmp"));
});

afterEach(async () => {
  await directory[Symbol.asyncDispose]();
});

function run(...args: string[]): ReturnType<typeof runCli> {
  return runCli(["snapshot", ...args], { cwd: directory.path, env: { TMPDIR: join(directory.path, "tmp") } });
}

describe("npm run snapshot -- check", () => {
  test("says what a file is, its month and its counts, and decodes the examples", async () => {
    await writeFile(join(directory.path, "latest.zip"), zip([{ name: NAME, content: formatDump(DUMP_TABLES) }]));

    const { stdout, stderr, exitCode } = await run("check", "latest.zip");

    expect(stdout).toBe(`latest.zip: zipped SQL dump, ${NAME}
date of the data: 2026-10
manufacturer identifiers: 1
pattern schemas: 2
patterns: 5
models: 1
variables: 11
vehicle specification patterns: 1
1XPWD40X1ED215307: 2014 PETERBILT 388 Truck-Tractor (codes 0, 14)
1G1ZT58N58F127985: - (codes 7)
1FMCU9D79AKC59990: - (codes 7)
JYAVM01E27A113338: - (codes 7)
1C9FA3822R1257465: - (codes 1, 7)
`);
    expect(stderr).toContain("reading: 100 %\n");
    expect(exitCode).toBe(0);
    expect(await readdir(join(directory.path, "tmp"))).toEqual([]);
  });

  test("fails and says why when the service could not use the file", async () => {
    await writeFile(join(directory.path, NAME), formatDump(withoutTable("wmi")));

    const { stdout, stderr, exitCode } = await run("check", NAME);

    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 1 });
    expect(stderr).toMatch(
      /^vPICList_lite_2026_10\.sql: vPIC\w+\.sql, line \d+: it has no rows of these tables: wmi\n$/m,
    );
    expect(await readdir(join(directory.path, "tmp"))).toEqual([]);
  });

  test("fails when none of the examples is decoded", async () => {
    const wmis = [[2180, "9ZZ", 1033, null, 3, null, null, 6, "2015-01-01 00:00:00", 2]];
    await writeFile(join(directory.path, NAME), formatDump(withTable("wmi", { rows: wmis })));

    const { stderr, exitCode } = await run("check", NAME);

    expect(stderr).toContain("none of these VINs could be decoded");
    expect(exitCode).toBe(1);
  });

  test("fails when there is no such file", async () => {
    const { stderr, exitCode } = await run("check", "missing.zip");

    expect({ stderr, exitCode }).toEqual({ stderr: "missing.zip: there is no such file\n", exitCode: 1 });
  });

  test.each([[[]], [["check"]], [["verify", NAME]], [["check", NAME, NAME]], [["check", NAME, "--force"]]])(
    "refuses the arguments %j with a hint at the help",
    async (args) => {
      const { stderr, exitCode } = await run(...args);

      expect(stderr).toMatch(/\nvehicle-service snapshot --help shows the arguments\n$/);
      expect(exitCode).toBe(2);
    },
  );
});
