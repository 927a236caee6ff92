import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { zip } from "../snapshot/dump-zip.ts";
import { DUMP_TABLES, DUMP_VIN, formatDump } from "../snapshot/sql-dump-file.ts";
import { eventually } from "../support/eventually.ts";
import { startTestApp } from "../support/test-app.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const DUMP = formatDump(DUMP_TABLES);
const OCTOBER = zip([{ name: "vPICList_lite_2026_10.sql", content: DUMP }]);
const NOVEMBER = zip([{ name: "vPICList_lite_2026_11.sql", content: DUMP.replace("5571\t388", "5571\t389") }]);
const HOUR_MS = 3_600_000;

test("a month's new file is used without a restart, and entries from the old one are decoded again an hour later", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "vpic.zip");
  await writeFile(path, OCTOBER);
  let now = Date.parse("2026-11-22T12:00:00Z");
  await using app = await startTestApp({ env: { SOURCES: "snapshot", SNAPSHOT_PATH: path }, now: () => now });
  const get = async (place: string): Promise<string> => (await fetch(`http://${app.httpAddress}${place}`)).text();
  const message = encodeURIComponent(JSON.stringify({ vin: DUMP_VIN }));
  const lookUp = async (): Promise<unknown> =>
    JSON.parse(await get(`/vehicle.v1.VehicleService/Lookup?connect=v1&encoding=json&message=${message}`));
  const before = await lookUp();

  await writeFile(`${path}.next`, NOVEMBER);
  await rename(`${path}.next`, path);
  await eventually(async () => expect(await get("/readyz")).toBe("ready; snapshot data of 2026-11\n"));
  const cached = await lookUp();
  now += HOUR_MS;
  const after = await lookUp();

  expect(before).toMatchObject({ model: "388", dataDate: "2026-10" });
  expect(cached).toMatchObject({ model: "388", dataDate: "2026-10" });
  expect(after).toMatchObject({ model: "389", dataDate: "2026-11" });
  expect(await get("/metrics")).toContain(`\nvehicle_snapshot_data_date ${Date.UTC(2026, 10, 1) / 1_000}\n`);
});
