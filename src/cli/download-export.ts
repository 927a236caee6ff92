import { open, rename, rm } from "node:fs/promises";

import type { Client } from "@connectrpc/connect";

import type { ExportMetadata, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

export interface DownloadOptions {
  readonly outputPath: string;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

/** The service ends longer exports. */
const TIMEOUT_MS = 600_000;

/**
 * Downloads an export. The file is named `<name>.part` until it is complete, and is removed when the download fails.
 *
 * @throws ConnectError from the service, errors of the file system, or an Error when the stream ends too early.
 */
export async function downloadExport(
  client: Client<typeof VehicleService>,
  options: DownloadOptions,
): Promise<ExportMetadata> {
  const partPath = `${options.outputPath}.part`;
  try {
    const metadata = await downloadInto(partPath, client, options);
    await rename(partPath, options.outputPath);
    return metadata;
  } catch (error) {
    await rm(partPath, { force: true });
    throw error;
  }
}

async function downloadInto(
  path: string,
  client: Client<typeof VehicleService>,
  { signal, onProgress }: DownloadOptions,
): Promise<ExportMetadata> {
  await using file = await open(path, "w");
  let metadata: ExportMetadata | undefined;
  let doneBytes = 0;
  for await (const { part } of client.export({}, { signal, timeoutMs: TIMEOUT_MS })) {
    if (part.case === "metadata") {
      metadata = part.value;
    } else if (part.case === "data") {
      // One write at a time, so that the service sends no faster than the disk writes.
      await file.writeFile(part.value);
      doneBytes += part.value.length;
    }
    onProgress(doneBytes, Number(metadata?.sizeBytes ?? doneBytes));
  }
  if (metadata === undefined) {
    throw new Error("the service sent no metadata");
  }
  if (BigInt(doneBytes) !== metadata.sizeBytes) {
    throw new Error(`incomplete: received ${doneBytes} of ${metadata.sizeBytes} bytes`);
  }
  return metadata;
}
