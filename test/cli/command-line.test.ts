import { execFile } from "node:child_process";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { COMMANDS } from "../../src/cli/command-line.ts";
import type { Command } from "../../src/cli/command.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { runCli } from "./run-cli.ts";

const commands = await Promise.all(
  Object.entries(COMMANDS).map(async ([name, { load }]): Promise<readonly [string, Command]> => [name, await load()]),
);

describe.each(commands)("the help of %s", (name, { help, options }) => {
  test("has usage, examples and exit codes", () => {
    expect(help).toMatch(
      new RegExp(`^usage: vehicle-service ${name}\\b[^]*\nexamples:\n  [^]*vehicle-service ${name}\\b`),
    );
    expect(help).toMatch(/\n\nexit codes: 0 [^]*\b2 /);
  });

  test("names every option, and no other", () => {
    const named = new Set([...help.matchAll(/^ +--([a-z-]+)/gm)].map(([, option = ""]) => option));

    expect([...named].toSorted()).toEqual(Object.keys(options).toSorted());
  });

  test("fits a terminal", () => {
    const widest = Math.max(...help.split("\n").map((line) => line.length));

    expect(widest).toBeLessThanOrEqual(92);
  });
});

test("a command shows its help on standard output", async () => {
  const { stdout, stderr, exitCode } = await runCli(["export", "--address", "--help"]);

  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  expect(stdout).toMatch(/^usage: vehicle-service export /);
});

test("an unknown command gets a suggestion and the list of commands", async () => {
  const { stdout, stderr, exitCode } = await runCli(["exprot"]);

  expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 2 });
  expect(stderr).toContain("unknown command exprot; did you mean export?");
  expect([...stderr.matchAll(/^ {2}([a-z]+) {2}/gm)].map(([, name]) => name)).toEqual(Object.keys(COMMANDS));
});

describe("the program vehicle-service", () => {
  const PROGRAM = fileURLToPath(new URL("../../src/vehicle-service.js", import.meta.url));

  test("runs a command through the link that npx makes", async () => {
    await using directory = await temporaryDirectory();
    const link = join(directory.path, "vehicle-service");
    await symlink(PROGRAM, link);

    const { stdout } = await promisify(execFile)(link, ["token", "--help"]);

    expect(stdout).toMatch(/^usage: vehicle-service token /);
  });

  test("runs the service with serve", async () => {
    const env = { ...process.env, HTTP_PORT: "none" };

    const run = promisify(execFile)(PROGRAM, ["serve"], { env });

    await expect(run).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("HTTP_PORT: found") });
  });
});
