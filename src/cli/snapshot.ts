import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { decodeVin } from "../snapshot/decode-vin.ts";
import type { SnapshotData } from "../snapshot/snapshot-data.ts";
import { toSnapshotError } from "../snapshot/snapshot-error.ts";
import { openSnapshotFile } from "../snapshot/snapshot-file.ts";
import { inspectSource } from "../snapshot/source-file.ts";
import { toDecode } from "../snapshot/to-decode.ts";
import { unpackInProcess } from "../snapshot/unpack.ts";
import { isDecoded, type Decode } from "../vehicle/vehicle.ts";
import { parseVin } from "../vehicle/vin.ts";
import { suggest } from "../table/suggest.ts";
import type { Command } from "./command.ts";
import { parseArguments, untilInterrupted, UsageError } from "./command.ts";

/** Real VINs of a tractor, a car, an MPV, a motorcycle, and a trailer of a small manufacturer. */
const EXAMPLES = [
  "1XPWD40X1ED215307",
  "1G1ZT58N58F127985",
  "1FMCU9D79AKC59990",
  "JYAVM01E27A113338",
  "1C9FA3822R1257465",
].map((text) => parseVin(text));

/** Describes a file for SNAPSHOT_PATH, without a service. */
export const snapshotCommand: Command = {
  help: `usage: vehicle-service snapshot check FILE

Says whether the service can use FILE as its snapshot (SNAPSHOT_PATH). Prints what FILE
holds, and decodes some VINs with it.

  FILE  NHTSA's monthly vPICList_lite_YYYY_MM.plain.zip, the .sql in it, or a SQLite
        file with the schema of the embedded copy, gzipped or not

FILE is unpacked in a temporary directory (TMPDIR), and deleted there at the end.

examples:
  vehicle-service snapshot check vPICList_lite_2026_10.plain.zip

exit codes: 0 the service can use FILE, 1 it cannot, 2 wrong arguments`,
  options: {},
  faultCode: 1,
  async run(args) {
    const path = parsePath(args);
    const signal = untilInterrupted();
    try {
      return await check(path, signal);
    } catch (error) {
      const { culprit, message } = toSnapshotError(error);
      const place = culprit === "database" ? path : tmpdir();
      process.stderr.write(`${place}: ${signal.aborted ? "interrupted" : message}\n`);
      return 1;
    }
  },
};

/** @throws UsageError */
function parsePath(args: readonly string[]): string {
  const [command = "", path, ...others] = parseArguments(args, {}).positionals;
  if (command !== "check") {
    throw new UsageError(
      command === "" ? "expected check FILE" : `unknown command ${command}${suggest(command, ["check"])}`,
    );
  }
  if (path === undefined || others.length > 0) {
    throw new UsageError("expected one file");
  }
  return path;
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
    process.stderr.write(`${path}: none of these VINs could be decoded\n`);
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
      throw new Error("the unpacked snapshot cannot be read");
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
