// Plots the makes by year of an export, with DuckDB. Beside a running service:
//   npm run export -- vehicles.parquet
//   npx node examples/makes-by-year.ts vehicles.parquet
import { DuckDBInstance } from "@duckdb/node-api";

const [, , file = "vehicles.parquet"] = process.argv;

const instance = await DuckDBInstance.create(":memory:");
const connection = await instance.connect();
const reader = await connection.runAndReadAll(
  `with counts as (
     select year, make, count(*) as vehicles from read_parquet($file) where year is not null group by all
   )
   select format('{} {:20s} {:5d} {}', year, make, vehicles, rtrim(bar(vehicles, 0, max(vehicles) over (), 40)))
   from counts order by year, vehicles desc, make`,
  { file },
);
for (const [line] of reader.getRowsJson()) {
  console.log(line);
}
connection.closeSync();
instance.closeSync();
