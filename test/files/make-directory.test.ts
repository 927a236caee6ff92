import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeDirectory } from "../../src/files/make-directory.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

test("creates a directory with its missing parents, also when two do at once", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "a/b/c");

  await Promise.all([makeDirectory(path), makeDirectory(path)]);
  await makeDirectory(path);

  expect((await stat(path)).isDirectory()).toBe(true);
});

test.each(["taken", "taken/a"])("fails at %j when a file is in the way", async (path) => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "taken"), "");

  await expect(makeDirectory(join(directory.path, path))).rejects.toThrow(/EEXIST|ENOTDIR/);
});

test("fails where no directory can be created", async () => {
  await expect(makeDirectory("/proc/a/b")).rejects.toThrow("ENOENT");
});
