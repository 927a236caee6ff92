/**
 * Measures how fast the snapshot decodes a batch of VINs that are not cached, and how fast SQLite stores them, through
 * the domain alone: `node test/bench/new-vins.ts [VINs]`. The second figure of a line is the process's CPU time, which
 * a busy machine affects less.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { openSnapshot } from "../../src/snapshot/snapshot-source.ts";
import { lookupBatch } from "../../src/vehicle/batch-lookup.ts";
import { checkDigit } from "../../src/vehicle/check-digit.ts";
import { VehicleLookup } from "../../src/vehicle/vehicle-lookup.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const COUNT = Number(process.argv[2] ?? 5_000);
const ROUNDS = 5;
const DAY_MS = 86_400_000;

/** VINs of all makes: real ones with other serial numbers. */
async function newVins(count: number, firstSerial: number): Promise<Vin[]> {
  const facts = await readFile(new URL("../snapshot/facts.tsv", import.meta.url), "utf8");
  const known = facts
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.slice(0, 17));
  return Array.from({ length: count }, (_, index) => {
    const serial = String(firstSerial + index).padStart(5, "0");
    const vin = `${known[index % known.length]?.slice(0, 12)}${serial}`;
    return parseVin(`${vin.slice(0, 8)}${checkDigit(vin)}${vin.slice(9)}`);
  });
}

await using directory = await temporaryDirectory();
await using snapshot = openSnapshot({ dataDir: directory.path, logger: silentLogger });
await snapshot.whenSettled();
await using store = await openVehicleStore({
  databaseUrl: `sqlite:${join(directory.path, "vehicles.db")}`,
  logger: silentLogger,
});
const lookup = new VehicleLookup({
  store,
  sources: [snapshot],
  freshness: { freshForMs: DAY_MS, staleForMs: DAY_MS, negativeForMs: DAY_MS, snapshotForMs: DAY_MS },
  patienceMs: 2_000,
  onSourceFault: (source, error) => console.error(source.name, error),
});

console.log(`${COUNT} new VINs in a batch, Node ${process.version}`);
for (let round = 0; round < ROUNDS; round++) {
  const vins = await newVins(COUNT, round * COUNT);
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
  let vehicles = 0;
  const answers = lookupBatch(lookup, {
    size: vins.length,
    queryAt: (index) => ({ vin: vins[index] ?? parseVin("") }),
    view: "basic",
    signal: AbortSignal.timeout(600_000),
  });
  for await (const answer of answers) {
    vehicles += "result" in answer ? 1 : 0;
  }
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuMs = (user + system) / 1_000;
  const found = await store.findMany(
    vins.map((vin) => ({ vin })),
    "basic",
  );
  const stored = found.filter((entry) => entry !== undefined).length;
  const perSecond = (ms: number) => Math.round((COUNT / ms) * 1_000);
  console.log(
    `${perSecond(wallMs)} VINs per second (${perSecond(cpuMs)} per second of CPU time), ${vehicles} decoded, ${stored} stored`,
  );
}
