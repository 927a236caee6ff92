import { performance } from "node:perf_hooks";

import Database from "better-sqlite3";
import { ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { fileWriter } from "hyparquet-writer";
import { EXPORTED_COLUMNS } from "../../src/cache/exported-rows.ts";

// The yardstick of the benchmark of exports: one thread that selects all columns and writes them with the defaults of
// the library. Arguments: database file, file to write. Prints rows per second.
const [databasePath = "", outputPath = ""] = process.argv.slice(2);
const ROWS_PER_GROUP = 100_000;

const startedAt = performance.now();
const database = new Database(databasePath, { readonly: true });
const statement = database
  .prepare<[], unknown[]>(`select ${EXPORTED_COLUMNS.join(", ")} from vehicles where is_negative = 0 order by vin`)
  .raw(true);
const makeColumns = () =>
  EXPORTED_COLUMNS.map((name) => ({
    name,
    type: name === "decoded_at" ? ("TIMESTAMP" as const) : ("STRING" as const),
    nullable: false,
    data: [] as unknown[],
  }));
let columns = makeColumns();
const writer = new ParquetWriter({
  writer: fileWriter(outputPath),
  schema: schemaFromColumnData({ columnData: columns }),
});
let rows = 0;
const writeGroup = () => {
  void writer.write({ columnData: columns.map(({ name, data }) => ({ name, data })), rowGroupSize: ROWS_PER_GROUP });
  columns = makeColumns();
};
for (const row of statement.iterate()) {
  for (let index = 0; index < EXPORTED_COLUMNS.length; index++) {
    const cell = row[index];
    columns[index]?.data.push(typeof cell === "number" ? new Date(cell) : cell);
  }
  rows++;
  if (rows % ROWS_PER_GROUP === 0) {
    writeGroup();
  }
}
writeGroup();
void writer.finish();
database.close();
const rss = process.resourceUsage().maxRSS / 1024;
console.log(JSON.stringify({ rows, rowsPerSecond: rows / ((performance.now() - startedAt) / 1000), peakRssMiB: rss }));
