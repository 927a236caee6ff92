import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { WatchedFiles } from "../../src/files/watched-files.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let path: string;
let faults: unknown[];
let changes: string[];
let read: () => Promise<string>;

beforeEach(async () => {
  directory = await temporaryDirectory();
  path = join(directory.path, "file");
  faults = [];
  changes = [];
  read = () => readFile(path, "utf8");
  await writeFile(path, "first");
});

afterEach(async () => {
  await directory[Symbol.asyncDispose]();
});

async function watch(): Promise<WatchedFiles<string>> {
  return WatchedFiles.open({
    paths: [path],
    read: () => read(),
    onChange: (content) => changes.push(content),
    onFault: (error) => faults.push(error),
    pollMs: 10,
  });
}

test("after a transient fault the files are read again, even if they do not change again", async () => {
  using files = await watch();
  let isOutOfDescriptors = true;
  read = async () => (isOutOfDescriptors ? Promise.reject(new Error("EMFILE")) : readFile(path, "utf8"));

  await writeFile(path, "second");
  await eventually(() => expect(faults).toHaveLength(1));
  isOutOfDescriptors = false;

  await eventually(() => expect(files.content).toBe("second"));
  expect(faults).toEqual([new Error("EMFILE")]);
  expect(changes).toEqual(["second"]);
});

test("a fault that is fixed and then comes back is reported again", async () => {
  using _ = await watch();
  let fault: Error | undefined = new Error("unusable");
  read = async () => (fault === undefined ? "usable" : Promise.reject(fault));

  await writeFile(path, "second");
  await eventually(() => expect(faults).toHaveLength(1));
  fault = undefined;
  await eventually(() => expect(changes).toEqual(["usable"]));
  fault = new Error("unusable");
  await writeFile(path, "third");

  await eventually(() => expect(faults).toHaveLength(2));
});

test("a file that is written all the time is read anyway", async () => {
  using files = await watch();
  const successor = join(directory.path, "successor");
  const enough = new AbortController();
  const writing = (async () => {
    for (let count = 0; !enough.signal.aborted; count++) {
      await writeFile(successor, `version ${count}`);
      await rename(successor, path);
    }
  })();

  await eventually(() => expect(files.content).toMatch(/^version/));
  enough.abort();
  await writing;

  expect(faults).toEqual([]);
});

test("nothing is read after the end", async () => {
  const files = await watch();
  let reads = 0;
  read = async () => `read ${++reads}`;

  files[Symbol.dispose]();
  using later = await watch();
  await writeFile(path, "second");
  await eventually(() => expect(later.content).toBe("read 2"));

  expect(files.content).toBe("first");
});
