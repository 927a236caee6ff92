import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

const PROCESS = join(import.meta.dirname, "full-disk-process.ts");
/** Mounts a small disk that only the process sees. */
const SCRIPT = 'mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" "$3" "$1" "$4"';

test("a disk that becomes full while a new file is unpacked leaves the previous data in use, and nothing else", async () => {
  await using disk = await makeTemporaryDirectory();
  await using elsewhere = await makeTemporaryDirectory();
  const script = ["sh", "-c", SCRIPT, "sh", disk.path, process.execPath, PROCESS, elsewhere.path];

  const { stdout } = await promisify(execFile)("unshare", ["--map-root-user", "--mount", ...script]);

  expect(JSON.parse(stdout)).toEqual({
    message: "snapshot cannot be used; the previous one remains in use",
    reason: expect.stringMatching(
      /^the data directory: the disk is full \(while reading vPICList_lite_2026_10\.sql, line \d+, table pattern\)$/,
    ),
    model: "388",
    files: ["snapshot.bin", "snapshot.bin.lock"],
  });
});
