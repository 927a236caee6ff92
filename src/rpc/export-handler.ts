import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import type { ExportMetadataSchema, ExportResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { ExportFile } from "../export/export-file.ts";
import type { VehicleExports } from "../export/vehicle-exports.ts";
import { callOf } from "./call.ts";

/** Streams the cache as a Parquet file: first its metadata, then its bytes. */
export async function* streamExport(
  exports: VehicleExports,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof ExportResponseSchema>> {
  const { caller, address } = callOf(context.values);
  await using file = await exports.create(caller?.name ?? address, context.signal);

  yield { part: { case: "metadata", value: toMetadata(file) } };
  for await (const data of file.read()) {
    yield { part: { case: "data", value: data } };
  }
}

function toMetadata(file: ExportFile): MessageInitShape<typeof ExportMetadataSchema> {
  return {
    fileName: file.fileName,
    mediaType: file.mediaType,
    rowCount: BigInt(file.rowCount),
    sizeBytes: BigInt(file.sizeBytes),
    snapshotTime: timestampFromMs(file.snapshotTime),
  };
}
