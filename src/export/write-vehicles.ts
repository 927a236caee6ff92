import { openExportedRows } from "../cache/exported-rows.ts";
import { ensureRoom, isDiskFull } from "./disk-room.ts";
import { ExportStorageError } from "./errors.ts";
import { VehicleWriter } from "./vehicle-writer.ts";
import type { WriteJob, WriteReport, WrittenFile } from "./write-job.ts";

/** Does the job, and never throws. */
export async function writeVehicles(job: WriteJob, now: () => number): Promise<WriteReport> {
  try {
    return { kind: "written", file: await write(job, now) };
  } catch (error) {
    if (error instanceof ExportStorageError) {
      return { kind: "no-room", message: error.message };
    }
    return isDiskFull(error) ? { kind: "no-room", message: "the disk is full" } : { kind: "failed", error };
  }
}

async function write(job: WriteJob, now: () => number): Promise<WrittenFile> {
  const { fd, directory, keepFreeBytes, service, version } = job;
  await using rows = await openExportedRows(job.location, now);
  ensureRoom(directory, rows.estimatedBytes, keepFreeBytes);
  const { snapshotTime } = rows;
  const writer = new VehicleWriter(fd, { service, version, snapshotTime }, () => {
    ensureRoom(directory, 0, keepFreeBytes);
  });
  for await (const batch of rows.batches()) {
    await writer.add(batch);
  }
  return { ...(await writer.finish()), snapshotTime };
}
