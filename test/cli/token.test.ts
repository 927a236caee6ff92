import { describe, expect, test } from "vitest";
import { parseTokens, TokenBook } from "../../src/access/token-book.ts";
import { makeToken } from "../../src/cli/make-token.ts";
import { runCli } from "./run-cli.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

const run = (args: readonly string[]): ReturnType<typeof runCli> => runCli(["token", ...args]);

describe("npm run token", () => {
  test("prints the line for the file and, separately, a secret that works", async () => {
    const { stdout, stderr, exitCode } = await run(["ci", "lookup", "remove", "--expires", "2127-01-01"]);

    const [, secret = ""] = /(vs_[\w-]{43})\n$/.exec(stderr) ?? [];
    const book = new TokenBook(parseTokens(stdout));
    expect(book.find(`Bearer ${secret}`, NOW)).toMatchObject({
      name: "ci",
      scopes: new Set(["lookup", "remove"]),
      expiresAt: Date.UTC(2127, 0, 1),
    });
    expect(stdout).not.toContain(secret);
    expect(exitCode).toBe(0);
  });

  test("makes a new secret each time", async () => {
    const [first, second] = await Promise.all([run(["ci", "lookup"]), run(["ci", "lookup"])]);

    expect(first.stderr).not.toBe(second.stderr);
  });

  test("names the fault, prints no line and fails", async () => {
    const { stdout, stderr, exitCode } = await run(["ci", "write"]);

    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 2 });
    expect(stderr).toMatch(/^token: "write" is not a scope\n/);
  });
});

describe("a token is not made from", () => {
  test.each([
    [[], "the name is missing"],
    [["1ci", "lookup"], '"1ci" is not a valid name'],
    [["ci"], "the scope is missing"],
    [["ci", "lookup,remove"], '"lookup,remove" is not a scope'],
    [["ci", "lookup", "--expires", "soon"], '--expires: "soon" is not a date'],
    [["ci", "lookup", "--expires", "2026-11-22"], '--expires: "2026-11-22" is in the past'],
    [["ci", "lookup", "--forever"], "unknown option --forever"],
  ])("%j", (args, fault) => {
    expect(() => makeToken(args, (count) => Buffer.alloc(count), NOW)).toThrow(fault);
  });
});
