import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSnapshot, type SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { checkDigit } from "../../src/vehicle/check-digit.ts";
import { parseVin, type Vin } from "../../src/vehicle/vin.ts";
import type { Logger } from "../../src/telemetry/logger.ts";

const WARM_ROUNDS = 10;
const WARM_UP_ROUNDS = 4;
const VARIED_VINS = 5_000;
const DIFFERENT_VINS = 10_000;
const YEAR_CODES = "ABCDEFGHJKLMNPRSTVWXY123456789";
export const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Measures the embedded snapshot on real VINs, on one thread: unpacking, opening, decodes per second, the time of a
 * decode and of the first decode for each manufacturer, and the memory that 10,000 different VINs take.
 *
 * @param print takes one line of the result at a time.
 */
export async function benchSnapshot(print: (line: string) => void): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), "snapshot-bench-"));
  try {
    print(`unpack and first decode: ${await timeOpening(dataDir)} ms (at most 10,000)`);
    print(`open unpacked and first decode: ${await timeOpening(dataDir)} ms (at most 2,000)`);
    await using source = openSnapshot({ dataDir, logger: SILENT });
    await source.whenSettled();
    await measureDecoding(source, print);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Prints the decodes per second, the time of a decode, and the memory that many different VINs take. */
export async function measureDecoding(source: SnapshotSource, print: (line: string) => void): Promise<void> {
  const vins = await readVins();
  const varied = variedVins(vins);
  print(`decodes per second, cold: ${await measureThroughput(source, varied)} (at least 5,000)`);
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    await measureThroughput(source, varied);
  }
  print(`decodes per second, warm: ${await measureThroughput(source, varied)} (at least 20,000)`);
  const first = await timeEach(source, oneOfEachWmi(vins));
  print(`first decode of a WMI: median ${toMs(first, 0.5)} ms, max ${toMs(first, 1)} ms (at most 30)`);
  const warm = await timeEach(source, Array.from({ length: WARM_ROUNDS }, () => vins).flat());
  print(`warm decode: median ${toMs(warm, 0.5)} ms (at most 1), p99 ${toMs(warm, 0.99)} ms`);
  print(`memory growth over 10,000 different VINs: ${await measureGrowth(source, vins)} MB (less than 60)`);
}

async function readVins(): Promise<string[]> {
  const text = await readFile(new URL("../snapshot/facts.tsv", import.meta.url), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.slice(0, 17));
}

async function timeOpening(dataDir: string): Promise<number> {
  const startedAt = performance.now();
  await using source = openSnapshot({ dataDir, logger: SILENT });
  await decode(source, (await readVins())[0] ?? "");
  return Math.round(performance.now() - startedAt);
}

/** Decodes one VIN with a snapshot that was just opened; in ms. */
export async function timeFirstDecode(source: SnapshotSource): Promise<number> {
  const [vin = ""] = await readVins();
  const startedAt = performance.now();
  await decode(source, vin);
  return Math.round(performance.now() - startedAt);
}

/** Real VINs with other serial numbers and right check digits. */
function variedVins(vins: readonly string[]): Vin[] {
  return Array.from({ length: VARIED_VINS }, (_, i) => {
    const vin = `${vins[i % vins.length]?.slice(0, 13)}${String(i).padStart(4, "0")}`;
    return parseVin(vin.slice(0, 8) + checkDigit(vin) + vin.slice(9));
  });
}

/** By the clock, and by CPU time, which a busy machine affects less. */
async function measureThroughput(source: SnapshotSource, vins: readonly Vin[]): Promise<string> {
  const signal = AbortSignal.timeout(60_000);
  const [startedAt, cpuBefore] = [performance.now(), process.cpuUsage()];
  for (const vin of vins) {
    await source.decode({ vin }, signal);
  }
  const seconds = (performance.now() - startedAt) / 1e3;
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuSeconds = (user + system) / 1e6;
  return `${Math.round(vins.length / seconds)}, by CPU time ${Math.round(vins.length / cpuSeconds)}`;
}

function oneOfEachWmi(vins: readonly string[]): string[] {
  return [...new Map(vins.map((vin) => [vin.slice(0, 3), vin])).values()];
}

async function timeEach(source: SnapshotSource, vins: readonly string[]): Promise<number[]> {
  const times: number[] = [];
  for (const vin of vins) {
    const startedAt = performance.now();
    await decode(source, vin);
    times.push(performance.now() - startedAt);
  }
  return times.toSorted((a, b) => a - b);
}

async function measureGrowth(source: SnapshotSource, vins: readonly string[]): Promise<number> {
  const before = process.memoryUsage.rss();
  for (let i = 0; i < DIFFERENT_VINS; i++) {
    const vin = vins[i % vins.length] ?? "";
    const year = YEAR_CODES.charAt(i % YEAR_CODES.length);
    await decode(source, vin.slice(0, 9) + year + vin.slice(10, 12) + String(i).padStart(5, "0"));
  }
  return Math.round((process.memoryUsage.rss() - before) / 1e6);
}

async function decode(source: SnapshotSource, vin: string): Promise<void> {
  await source.decode({ vin: parseVin(vin) }, AbortSignal.timeout(60_000));
}

function toMs(sortedTimes: readonly number[], quantile: number): string {
  const index = Math.min(Math.floor(sortedTimes.length * quantile), sortedTimes.length - 1);
  return (sortedTimes[index] ?? 0).toFixed(2);
}

if (import.meta.main) {
  await benchSnapshot((line) => console.log(line));
}
