import { rename, rm } from "node:fs/promises";
import { InvalidFieldError } from "../vehicle/errors.ts";
import { parseVin } from "../vehicle/vin.ts";
import type { Command } from "./command.ts";
import { parseArguments, untilInterrupted, UsageError } from "./command.ts";
import { downloadExport } from "./download-export.ts";
import { keepVins } from "./keep-vins.ts";
import { readVins } from "./open-table.ts";
import { ProgressBar } from "./progress-bar.ts";
import { count } from "./progress-line.ts";
import { openServiceClient, readServiceArguments, SERVICE_HELP, SERVICE_OPTIONS } from "./service-client.ts";

const DEFAULT_ADDRESS = "http://127.0.0.1:8080";

const OPTIONS = { vins: { type: "string" }, column: { type: "string" }, ...SERVICE_OPTIONS } as const;

/** Downloads the cache as one Parquet file. */
export const exportCommand: Command = {
  help: `usage: vehicle-service export [options] OUT.parquet

Downloads the cache of a running service as one Parquet file.

  --vins FILE         keep only the VINs of this table: CSV, TSV, text with one VIN per
                      line, JSON lines or Parquet. Or - for standard input. The service
                      still sends its whole cache
  --column NAME       the column with the VINs. Without it, the command finds the column
                      by its name or its content
  --address ADDRESS   the service: a URL, or host:port for gRPC without TLS
                      (default: ${DEFAULT_ADDRESS})
${SERVICE_HELP}

Until it is complete, the file is named OUT.parquet.part.

examples:
  vehicle-service export vehicles.parquet
  vehicle-service export --vins fleet.csv fleet.parquet
  vehicle-service export --address https://vins.example.com --token-file secret all.parquet

exit codes: 0 done, 1 failed, 2 wrong arguments`,
  options: OPTIONS,
  faultCode: 1,
  async run(args) {
    const { values, positionals } = parseArguments(args, OPTIONS);
    const [outputPath, ...rest] = positionals;
    if (outputPath === undefined || rest.length > 0) {
      throw new UsageError("expected one output file");
    }
    if (values.column !== undefined && values.vins === undefined) {
      throw new UsageError("--column needs --vins");
    }
    const service = readServiceArguments(values, values.address ?? DEFAULT_ADDRESS);
    const vins = values.vins === undefined ? undefined : await readWantedVins(values.vins, values.column);
    using bar = new ProgressBar(process.stderr);
    const client = await openServiceClient(service);
    const download = (path: string): ReturnType<typeof downloadExport> =>
      downloadExport(client, {
        outputPath: path,
        signal: untilInterrupted(),
        onProgress: (doneBytes, totalBytes) => {
          bar.update(doneBytes, totalBytes);
        },
      });
    if (vins === undefined) {
      const { rowCount, sizeBytes } = await download(outputPath);
      process.stderr.write(`${outputPath}: ${rowCount} vehicles, ${sizeBytes} bytes\n`);
      return 0;
    }

    const wholePath = `${outputPath}.all`;
    const partPath = `${outputPath}.part`;
    try {
      await download(wholePath);
      const { rowCount, sizeBytes } = await keepVins(wholePath, partPath, vins);
      await rename(partPath, outputPath);
      const missing = vins.size - rowCount;
      process.stderr.write(
        `${outputPath}: ${rowCount} vehicles, ${sizeBytes} bytes; VINs that are not in the cache: ${count(missing)}\n`,
      );
    } finally {
      await Promise.all([wholePath, partPath].map((path) => rm(path, { force: true })));
    }
    return 0;
  },
};

/** The VINs of a table. Those that are not valid are counted on standard error. */
async function readWantedVins(path: string, column: string | undefined): Promise<ReadonlySet<string>> {
  const vins = new Set<string>();
  let malformed = 0;
  for await (const text of readVins(path, column)) {
    try {
      vins.add(parseVin(text));
    } catch (error) {
      if (!(error instanceof InvalidFieldError)) {
        throw error;
      }
      malformed++;
    }
  }
  if (malformed > 0) {
    process.stderr.write(`${path}: rows without a valid VIN: ${count(malformed)}\n`);
  }
  return vins;
}
