import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PROCESS = join(import.meta.dirname, "full-disk-process.ts");
/** Mounts a small disk that only the process sees. */
const SCRIPT = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" "$3" "$1" "$4"';

let stack: AsyncDisposableStack;
let disk: string;
let elsewhere: string;
beforeAll(async () => {
  stack = new AsyncDisposableStack();
  ({ path: disk } = stack.use(await temporaryDirectory()));
  ({ path: elsewhere } = stack.use(await temporaryDirectory()));
});
afterAll(() => stack.disposeAsync());

async function exportInto(directory: string): Promise<string> {
  const script = ["sh", "-c", SCRIPT, "sh", disk, process.execPath, PROCESS, directory];
  const { stdout } = await promisify(execFile)("unshare", ["--map-root-user", "--mount", ...script]);
  return stdout;
}

test("a cache whose disk is full has no room for an export on the same disk", async () => {
  expect(await exportInto(join(disk, "exports"))).toBe("ExportStorageError\n");
});

test("a cache whose disk is full is exported onto another disk", async () => {
  expect(await exportInto(elsewhere)).toBe("2000 rows\n");
});
