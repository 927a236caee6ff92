import { rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { TokensFileError } from "../../src/access/errors.ts";
import { digestOf } from "../../src/access/token.ts";
import { TokensFile } from "../../src/access/tokens-file.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const POLL_MS = 10;
const SOON = { timeout: 250_000 };

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;
let logger: MemoryLogger;

beforeEach(async () => {
  directory = await temporaryDirectory();
  path = join(directory.path, "tokens");
  logger = new MemoryLogger();
});

afterEach(async () => {
  await directory[Symbol.asyncDispose]();
});

function line(secret: string): string {
  return `${secret} ${digestOf(secret)} lookup\n`;
}

function nameOf(file: TokensFile, secret: string): string | undefined {
  return file.book.find(`Bearer ${secret}`, 0)?.name;
}

async function open(text: string): Promise<TokensFile> {
  await writeFile(path, text);
  return TokensFile.open({ path, logger, pollMs: POLL_MS });
}

describe("a changed tokens file takes effect", () => {
  test("when it is written in place", async () => {
    using file = await open(line("old"));

    await writeFile(path, line("young"));

    await vi.waitFor(() => expect(nameOf(file, "young")).toBe("young"), SOON);
    expect(nameOf(file, "old")).toBeUndefined();
  });

  test("when another file of the same size is moved over it", async () => {
    using file = await open(line("old"));
    const successor = join(directory.path, "successor");
    await writeFile(successor, line("new"));

    await rename(successor, path);

    await vi.waitFor(() => expect(nameOf(file, "new")).toBe("new"), SOON);
    expect(nameOf(file, "old")).toBeUndefined();
  });

  test("when a symbolic link on the way to it points elsewhere", async () => {
    const link = join(directory.path, "link");
    await writeFile(join(directory.path, "v1"), line("old"));
    await writeFile(join(directory.path, "v2"), line("new"));
    await symlink("v1", link);
    await symlink("link", path);
    using file = await TokensFile.open({ path, logger, pollMs: POLL_MS });

    await symlink("v2", `${link}.next`);
    await rename(`${link}.next`, link);

    await vi.waitFor(() => expect(nameOf(file, "new")).toBe("new"), SOON);
  });

  test("when all tokens are removed", async () => {
    using file = await open(line("old"));

    await writeFile(path, "");

    await vi.waitFor(() => expect(nameOf(file, "old")).toBeUndefined(), SOON);
  });
});

describe("a tokens file that becomes unusable", () => {
  test("leaves the previous tokens in use, and the log names the line without quoting the file", async () => {
    using file = await open(line("old"));

    // In place, the file would be empty for a moment.
    await writeFile(`${path}.next`, `${line("new")}broken vs_secret lookup`);
    await rename(`${path}.next`, path);

    await vi.waitFor(() => expect(logger.lines).toHaveLength(1), SOON);
    expect(logger.lines).toMatchObject([{ level: "error", fields: { faults: [expect.stringMatching(/^line 2: /)] } }]);
    expect(JSON.stringify(logger.lines)).not.toMatch(/vs_secret|vehicle-service-test/);
    expect(nameOf(file, "old")).toBe("old");
  });

  test("is reported once when it is missing, and read when it is back", async () => {
    using file = await open(line("old"));

    await rm(path);
    await vi.waitFor(() => expect(logger.lines).toHaveLength(1), SOON);
    await writeFile(path, line("new"));

    await vi.waitFor(() => expect(nameOf(file, "new")).toBe("new"), SOON);
    expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
    expect(logger.lines[0]?.fields["faults"]).toEqual([expect.stringContaining("ENOENT")]);
  });
});

test.each([
  ["missing", undefined, "it cannot be read (ENOENT)"],
  ["faulty", "x", "line 1: it has 1 fields"],
])("a tokens file that is %s at the start is an error", async (_case, text, fault) => {
  if (text !== undefined) {
    await writeFile(path, text);
  }

  const opening = TokensFile.open({ path, logger });

  await expect(opening).rejects.toThrow(TokensFileError);
  await expect(opening).rejects.toThrow(fault);
});
