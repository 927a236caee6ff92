import { VehicleTable } from "../export/vehicle-table.ts";
import { benchRows } from "./export-rows.ts";
import { openExports, noAbort } from "../export/open-exports.ts";
import { spawnSync } from "node:child_process";
const [n, d] = [Number(process.argv[2]), process.argv[3] === "distinct"];
await using table = await VehicleTable.create();
let t = performance.now();
table.put(benchRows(n, d));
table.database.pragma("wal_checkpoint(TRUNCATE)");
console.log("filled", performance.now() - t, table.directory);
const bare = () =>
  console.log(
    "bare",
    spawnSync(
      process.execPath,
      [import.meta.dirname + "/export-bare.ts", table.directory + "/vehicles.db", table.directory + "/bare.parquet"],
      { encoding: "utf8" },
    ),
  );
bare();
await using exports = await openExports(table);
for (let i = 0; i < 2; i++) {
  const before = process.memoryUsage().rss;
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 20);
  t = performance.now();
  await using file = await exports.create("c", noAbort());
  const s = (performance.now() - t) / 1000;
  clearInterval(timer);
  console.log("ours", n / s, file.sizeBytes, "rss+", (peak - before) / 1048576);
}
