import type { ExportFile } from "../../src/export/export-file.ts";
import { collect } from "../export/open-exports.ts";
import { queryParquet } from "../export/read-parquet.ts";

/** The VINs of the rewritten vehicles in an export, in the order of the file. */
export async function readChangedVins(file: ExportFile): Promise<unknown[]> {
  const rows = await queryParquet(await collect(file.read()), "select vin from $file where make = 'CHANGED'");
  return rows.map(({ vin }) => vin);
}
