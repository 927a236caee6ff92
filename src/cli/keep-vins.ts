import { zstdCompressSync } from "node:zlib";
import { parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { fileWriter, ParquetWriter } from "hyparquet-writer";
import { COMPRESSORS, openParquetFile } from "./parquet-input.ts";

/** What is in the new file. */
export interface KeptVehicles {
  readonly rowCount: number;
  readonly sizeBytes: number;
}

/** Long enough for exact bounds of VINs. */
const BOUND_BYTES = 32;

/**
 * Copies the vehicles of some VINs from an export into a new Parquet file with the same columns, in the same order. One
 * row group of the export is in memory at a time.
 */
export async function keepVins(
  exportPath: string,
  outputPath: string,
  vins: ReadonlySet<string>,
): Promise<KeptVehicles> {
  const file = await openParquetFile(exportPath);
  const metadata = await parquetMetadataAsync(file);
  const output = fileWriter(outputPath);
  const parquet = new ParquetWriter({
    writer: output,
    schema: metadata.schema,
    codec: "ZSTD",
    compressors: { ZSTD: (bytes) => zstdCompressSync(bytes) },
    statisticsTruncateLength: BOUND_BYTES,
    ...(metadata.created_by !== undefined && { createdBy: metadata.created_by }),
  });
  const names = metadata.schema.slice(1).map(({ name }) => name);
  const read = (rowStart: number, rowEnd: number, columns: string[]) =>
    parquetReadObjects({ file, metadata, compressors: COMPRESSORS, rowStart, rowEnd, columns });

  let rowCount = 0;
  let groupStart = 0;
  for (const group of metadata.row_groups) {
    const groupEnd = groupStart + Number(group.num_rows);
    const isKept = (await read(groupStart, groupEnd, ["vin"])).map(({ vin }) => vins.has(vin));
    if (isKept.includes(true)) {
      const kept = (await read(groupStart, groupEnd, names)).filter((_, index) => isKept[index]);
      await parquet.write({
        columnData: names.map((name) => ({ name, data: kept.map((vehicle): unknown => vehicle[name]) })),
        rowGroupSize: kept.length,
      });
      rowCount += kept.length;
    }
    groupStart = groupEnd;
  }
  const ownCount = { key: "row_count", value: String(rowCount) };
  parquet.kvMetadata = metadata.key_value_metadata?.map((pair) => (pair.key === ownCount.key ? ownCount : pair));
  await parquet.finish();
  return { rowCount, sizeBytes: output.offset };
}
