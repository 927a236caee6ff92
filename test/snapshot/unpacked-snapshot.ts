import { openSnapshot, type SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { LogRecorder } from "./log-recorder.ts";
import { makeTemporaryDirectory, type TemporaryDirectory } from "./temporary-directory.ts";

/** The date in tests. It decides which years are plausible. */
const NOW_MS = Date.parse("2026-11-22T12:00:00Z");

/**
 * The snapshot of the embedded database. Dispose of it to remove its directory.
 *
 * @param directory where it is unpacked. Default: an empty one.
 */
export async function unpackBundledSnapshot(directory?: TemporaryDirectory): Promise<SnapshotSource> {
  directory ??= await makeTemporaryDirectory();
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
