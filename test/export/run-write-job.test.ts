import { open } from "node:fs/promises";

import { expect, test } from "vitest";

import { ExportFailedError, ExportStorageError } from "../../src/export/errors.ts";
import { runWriteJob } from "../../src/export/run-write-job.ts";
import { isDiskFull } from "../../src/export/temporary-file.ts";
import { noAbort } from "./open-exports.ts";
import { VehicleTable } from "./vehicle-table.ts";

async function jobInto(path: string) {
  await using stack = new AsyncDisposableStack();
  const table = stack.use(await VehicleTable.create());
  table.put([{ vin: "1XPWD40X1ED215307" }]);
  const file = stack.use(await open(path, "r+"));
  const { location, directory } = table;
  const cleanUp = stack.move();
  return {
    job: { location, fd: file.fd, directory, keepFreeBytes: 0, service: "s", version: "1" },
    table,
    [Symbol.asyncDispose]: () => cleanUp.disposeAsync(),
  };
}

test("a disk that fills up is distinguished from other faults, and leaves the cache unchanged", async () => {
  await using full = await jobInto("/dev/full");

  const running = runWriteJob(full.job, noAbort());

  await expect(running).rejects.toBeInstanceOf(ExportStorageError);
  expect(full.table.database.prepare("select count(*) from vehicles").pluck().get()).toBe(1);
});

test.each([
  ["exits", "process.exit(3)"],
  ["throws", "throw new Error('out of luck')"],
  ["ends silently", ""],
])("a worker that %s before its report fails the export", async (_, script) => {
  await using sink = await jobInto("/dev/null");

  const running = runWriteJob(sink.job, noAbort(), new URL(`data:text/javascript,${script}`));

  await expect(running).rejects.toBeInstanceOf(ExportFailedError);
});

test("an abort ends the worker at once, even if it hangs", async () => {
  await using sink = await jobInto("/dev/null");
  const caller = new AbortController();
  const reason = new Error("gone");
  const running = runWriteJob(sink.job, caller.signal, new URL("data:text/javascript,for (;;) {}"));

  caller.abort(reason);

  await expect(running).rejects.toBe(reason);
});

test.each(["ENOSPC", "EDQUOT", "SQLITE_FULL", "53100"])("%s means that a disk is full", (code) => {
  expect(isDiskFull(Object.assign(new Error("no room"), { code }))).toBe(true);
});

test.each(["EIO", "SQLITE_CORRUPT", "53200"])("%s does not mean that a disk is full", (code) => {
  expect(isDiskFull(Object.assign(new Error("broken"), { code }))).toBe(false);
});
