import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { decodeVin } from "../snapshot/decode-vin.ts";
import type { SnapshotData } from "../snapshot/snapshot-data.ts";
import { toSnapshotError } from "../snapshot/snapshot-error.ts";
import { openSnapshotFile } from "../snapshot/snapshot-file.ts";
import { inspectSource } from "../snapshot/source-file.ts";
import { toDecode } from "../snapshot/to-decode.ts";
import { unpackInProcess } from "../snapshot/unpack.ts";
import { isDecoded, type Decode } from "../vehicle/vehicle.ts";
import { parseVin } from "../vehicle/vin.ts";

// `npm run snapshot -- check FILE`: says what a file for SNAPSHOT_PATH holds, without a service.

const USAGE = `usage: npm run snapshot -- check FILE

  FILE  NHTSA's monthly vPICList_lite_YYYY_MM.plain.zip, the .sql in it, or a SQLite
        file with the schema of the embedded copy, gzipped or not

Unpacks FILE as the service does, but in a temporary directory (TMPDIR), says what it
holds, and decodes some VINs. Exit codes: 0 the service can use FILE, 1 it cannot, 2
wrong arguments.`;

/** Real VINs of a tractor, a car, an MPV, a motorcycle, and a trailer of a small manufacturer. */
const EXAMPLES = [
  "1XPWD40X1ED215307",
  "1G1ZT58N58F127985",
  "1FMCU9D79AKC59990",
  "JYAVM01E27A113338",
  "1C9FA3822R1257465",
].map((text) => parseVin(text));

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const path = parsePath(args);
  if (path === undefined) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const interrupted = new AbortController();
  // Ctrl-C arrives twice: the terminal sends it, and npm passes it on.
  const interrupt = (): void => interrupted.abort(new Error("interrupted"));
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  try {
    return await check(path, interrupted.signal);
  } catch (error) {
    const { culprit, message } = toSnapshotError(error);
    const place = culprit === "database" ? path : tmpdir();
    process.stderr.write(`${place}: ${interrupted.signal.aborted ? "interrupted" : message}\n`);
    return 1;
  }
}

function parsePath(args: readonly string[]): string | undefined {
  try {
    const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
    const [command, path, ...others] = positionals;
    return command === "check" && others.length === 0 ? path : undefined;
  } catch {
    return undefined;
  }
}

async function check(path: string, signal: AbortSignal): Promise<number> {
  const source = await inspectSource(path);
  const data = await unpack(source, signal);
  const now = Date.now();
  const decodes = EXAMPLES.map((vin) => toDecode(data, { vin }, decodeVin(data, vin, undefined, now), now));
  const counts = Object.entries(data.counts()).map(([name, count]) => `${name}: ${count}`);
  const lines = [
    `${basename(path)}: ${source.kind}${source.dumpName === undefined ? "" : `, ${source.dumpName}`}`,
    `date of the data: ${data.dataDate}`,
    ...counts,
    ...decodes.map(describe),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (!decodes.some(isDecoded)) {
    process.stderr.write(`${path}: none of these VINs is decoded\n`);
    return 1;
  }
  return 0;
}

async function unpack(source: Awaited<ReturnType<typeof inspectSource>>, signal: AbortSignal): Promise<SnapshotData> {
  const directory = await mkdtemp(join(tmpdir(), "vehicle-snapshot-"));
  try {
    const targetPath = join(directory, "snapshot.bin");
    const report = (step: string, percent?: number): void => {
      process.stderr.write(percent === undefined ? `${step}\n` : `${step}: ${percent} %\n`);
    };
    await unpackInProcess({ source, targetPath, uniquePart: randomUUID() }, report, signal);
    const unpacked = await openSnapshotFile(targetPath, source.stamp);
    if (unpacked.state !== "sound") {
      throw new Error("the unpacked snapshot cannot be read back");
    }
    return unpacked.data;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function describe(decode: Decode): string {
  const { vin, modelYear, make, model, bodyClass, verdict } = decode;
  const vehicle = isDecoded(decode) ? [modelYear, make, model, bodyClass].filter((text) => text !== "").join(" ") : "-";
  return `${vin}: ${vehicle} (codes ${verdict.codes.join(", ")})`;
}
