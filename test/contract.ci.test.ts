import { execFile } from "node:child_process";
import { glob, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const run = promisify(execFile);

test("npm run proto writes a folder that buf and protoc compile by itself, for Java and Python", async () => {
  await using directory = await temporaryDirectory();
  const { path } = directory;

  await run("npm", ["run", "--silent", "proto", "--", path], { cwd: ROOT });

  const files = await Array.fromAsync(glob("**/*.proto", { cwd: path }));
  await run(join(ROOT, "node_modules/.bin/buf"), ["build", path]);
  await run("protoc", ["-I", path, `--java_out=${path}`, `--python_out=${path}`, ...files]);
  const java = await readFile(join(path, "com/vehicle/v1/LookupRequest.java"), "utf8");
  expect(java).toContain("package com.vehicle.v1;");
  expect(files.toSorted()).toContain("vehicle/v1/vehicle_service.proto");
});

test("npm run proto without a folder says what it needs", async () => {
  const work = run("npm", ["run", "--silent", "proto"], { cwd: ROOT });

  await expect(work).rejects.toMatchObject({ stderr: expect.stringContaining("usage: npm run proto -- DIR") });
});
