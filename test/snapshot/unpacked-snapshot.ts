import { openSnapshot, type SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { LogRecorder } from "./log-recorder.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

/** The date by which years are judged in tests. */
const NOW_MS = Date.parse("2026-11-22T12:00:00Z");

/** The snapshot of the bundled database, unpacked into a directory of its own; dispose of it to remove that. */
export async function unpackBundledSnapshot(): Promise<SnapshotSource> {
  const directory = await makeTemporaryDirectory();
  const source = openSnapshot({ dataDir: directory.path, logger: new LogRecorder(), now: () => NOW_MS });
  await source.whenSettled();
  const close = source[Symbol.asyncDispose].bind(source);
  return Object.assign(source, {
    [Symbol.asyncDispose]: async () => {
      await close();
      await directory[Symbol.asyncDispose]();
    },
  });
}
