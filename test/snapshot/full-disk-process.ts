import { readdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSnapshot } from "../../src/snapshot/snapshot-source.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { LogRecorder } from "./log-recorder.ts";
import { DUMP_TABLES, DUMP_VIN, formatDump } from "./sql-dump-file.ts";

// Unpacks a small dump onto a small disk, then one that does not fit, and prints the outcome.
const [dataDir = "", elsewhere = ""] = process.argv.slice(2);
const NAME = "vPICList_lite_2026_10.sql";
const PATTERNS = 200_000;

const dump = formatDump(DUMP_TABLES);
const row = "\tSOMEKEYS\t5\t66\t2015-04-14 13:31:17.8\t\\N\n";
const rows = Array.from({ length: PATTERNS }, (_, i) => `${100 + i}\t9${row}`).join("");
const snapshotPath = join(elsewhere, NAME);
await writeFile(snapshotPath, dump);
const log = new LogRecorder();
const failed = log.firstError();
await using source = openSnapshot({ dataDir, snapshotPath, logger: log, pollMs: 10 });
await source.whenSettled();

await writeFile(`${snapshotPath}.next`, dump.replace(/^(COPY vpic\.pattern .*\n)/m, `$1${rows}`));
await rename(`${snapshotPath}.next`, snapshotPath);
// Watching the file does not keep the process alive.
const alive = setInterval(() => undefined, 60_000);
const { message, fields } = await failed;
clearInterval(alive);

const { model } = await source.decode({ vin: parseVin(DUMP_VIN) }, AbortSignal.timeout(60_000));
const files = await readdir(dataDir);
process.stdout.write(JSON.stringify({ message, reason: fields["reason"], model, files }));
