import { join } from "node:path";
import type { SnapshotData } from "../../src/snapshot/snapshot-data.ts";
import { openSnapshotFile } from "../../src/snapshot/snapshot-file.ts";
import { inspectSource } from "../../src/snapshot/source-file.ts";
import { unpackSnapshot } from "../../src/snapshot/unpack.ts";

/** Unpacks a file as the service does, but in this process: starting another takes longer than unpacking a small file. */
export async function unpackHere(path: string, dataDir: string): Promise<SnapshotData> {
  const source = await inspectSource(path);
  const targetPath = join(dataDir, "snapshot.bin");
  await unpackSnapshot({ source, targetPath, uniquePart: "here" }, () => undefined);
  const unpacked = await openSnapshotFile(targetPath, source.stamp);
  if (unpacked.state !== "sound") {
    throw new Error(`the unpacked snapshot is ${unpacked.state}`);
  }
  return unpacked.data;
}
