import type { Command } from "./command.ts";
import { parseArguments, untilInterrupted, UsageError } from "./command.ts";
import { downloadExport } from "./download-export.ts";

import { ProgressBar } from "./progress-bar.ts";
import { openServiceClient, readServiceArguments, SERVICE_HELP, SERVICE_OPTIONS } from "./service-client.ts";

const DEFAULT_ADDRESS = "http://127.0.0.1:8080";

/** Downloads the cache as one Parquet file. */
export const exportCommand: Command = {
  help: `usage: vehicle-service export [options] OUT.parquet

  --address ADDRESS  a URL for Connect, or host:port for gRPC without TLS
                     (default: ${DEFAULT_ADDRESS})
${SERVICE_HELP}

The file is named OUT.parquet.part until it is complete.

examples:
  vehicle-service export vehicles.parquet
  vehicle-service export --address https://vins.example.com --token-file secret all.parquet

exit codes: 0 done, 1 failed, 2 wrong arguments`,
  options: SERVICE_OPTIONS,
  faultCode: 1,
  async run(args) {
    const { values, positionals } = parseArguments(args, SERVICE_OPTIONS);
    const [outputPath, ...rest] = positionals;
    if (outputPath === undefined || rest.length > 0) {
      throw new UsageError("expected one output file");
    }
    const service = readServiceArguments(values, values.address ?? DEFAULT_ADDRESS);
    using bar = new ProgressBar(process.stderr);
    const { rowCount, sizeBytes } = await downloadExport(await openServiceClient(service), {
      outputPath,
      signal: untilInterrupted(),
      onProgress: (doneBytes, totalBytes) => {
        bar.update(doneBytes, totalBytes);
      },
    });
    process.stderr.write(`${outputPath}: ${rowCount} vehicles, ${sizeBytes} bytes\n`);
    return 0;
  },
};
