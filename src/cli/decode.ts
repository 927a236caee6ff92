import type { Writable } from "node:stream";
import type { Command } from "./command.ts";
import { parseArguments, untilInterrupted, UsageError } from "./command.ts";
import type { Counts } from "../table/decode-table.ts";
import { decodeTable } from "../table/decode-table.ts";
import { openDecoder } from "./decoder.ts";
import { PartFile } from "./part-file.ts";
import { count, ProgressLine } from "./progress-line.ts";
import { CSV, TerminalFormat } from "../table/row-format.ts";
import { readOptionalService, SERVICE_HELP, SERVICE_OPTIONS } from "./service-client.ts";
import type { Table } from "../table/table.ts";
import { openTable } from "./open-table.ts";
import { chooseColumns } from "../table/vehicle-columns.ts";
import { columnOfVins, indexOfColumn } from "../table/vin-column.ts";

const OPTIONS = {
  column: { type: "string" },
  "year-column": { type: "string" },
  columns: { type: "string" },
  full: { type: "boolean" },
  resume: { type: "boolean" },
  ...SERVICE_OPTIONS,
} as const;

const INTERRUPTED = 130;

/** Decodes a table of VINs. */
export const decodeCommand: Command = {
  help: `usage: vehicle-service decode [options] IN [OUT]

Decodes a table of VINs of any size.

  IN   a file: CSV, TSV, text with one VIN per line, JSON lines (.jsonl, .ndjson) or
       Parquet. Or - for standard input, which cannot be Parquet
  OUT  a file that ends in .csv, .jsonl, .ndjson or .parquet. Or - for CSV on standard
       output. Without OUT, the command prints a table on a terminal, and CSV elsewhere

  --column NAME       the column with the VINs. Without it, the command finds the column
                      by its name or its content
  --year-column NAME  a column with model years that you know for certain
  --columns LIST      the columns to add instead of the usual ones: names separated by
                      commas, such as make,EngineCylinders. docs/command-line.md lists
                      the usual columns, docs/attributes.md the attributes
  --full              add the usual columns and all attributes, one column each
  --resume            continue an interrupted run that had the same arguments
  --address ADDRESS   ask a running service: a URL such as http://127.0.0.1:8080, or
                      host:port for gRPC without TLS
${SERVICE_HELP}

Without --address, the command decodes by itself. It uses the cache and the sources that
a service with the same environment variables would use.

OUT has one row for each row of IN, in the same order. Your columns come first, then the
added ones. The last column, error, says why a row was not decoded. If an added column has
the name of one of yours, it begins with vpic_.

Until it is complete, OUT is named OUT.part. Ctrl-C leaves OUT.part for --resume.

examples:
  vehicle-service decode vins.csv decoded.csv
  vehicle-service decode --year-column year --full fleet.parquet decoded.parquet
  vehicle-service decode --address http://127.0.0.1:8080 - - < vins.txt | head

exit codes: 0 every row decoded, 1 some rows have an error, 2 the command could not run,
130 interrupted`,
  options: OPTIONS,
  faultCode: 2,
  async run(args) {
    const { values, positionals } = parseArguments(args, OPTIONS);
    const [inputPath, outputPath, ...rest] = positionals;
    if (inputPath === undefined || rest.length > 0) {
      throw new UsageError("expected IN and, optionally, OUT");
    }
    const { full = false, resume = false } = values;
    const service = readOptionalService(values);
    const table = await openTable(inputPath, process.stdin);
    const vinColumn = columnOfVins(table, values.column);
    const yearName = values["year-column"];
    const yearColumn = yearName === undefined ? undefined : indexOfColumn(table, "--year-column", yearName);
    const added = chooseColumns({ full, names: values.columns }, table.columns);

    const signal = untilInterrupted();
    const isFile = outputPath !== undefined && outputPath !== "-";
    const columns = [...table.columns, ...added.names];
    await using output = isFile
      ? new PartFile({ path: outputPath, columns, usersCount: table.columns.length })
      : new StreamOutput(process.stdout, columns, outputPath === undefined && process.stdout.isTTY);
    const rows = table.rows[Symbol.asyncIterator]();
    const earlier = resume ? await resumeWith(output, rows) : await begin(output);

    await using decoder = await openDecoder(service);
    const startedAt = performance.now();
    using line = new ProgressLine(isFile || !process.stdout.isTTY ? process.stderr : { write: () => {} }, earlier.rows);
    let counts: Counts = earlier;
    try {
      counts = await decodeTable({
        rows,
        vinColumn,
        yearColumn,
        added,
        decoder,
        signal,
        write: (decoded) => output.write(decoded),
        onProgress: (now) => {
          counts = now;
          line.update({ ...now, share: table.progress() });
        },
        earlier,
      });
    } catch (error) {
      line[Symbol.dispose]();
      if (error instanceof Error && "code" in error && error.code === "EPIPE") {
        // The reader of standard output has closed it.
        return INTERRUPTED;
      }
      if (isFile) {
        process.stderr.write(`stopped after ${count(counts.rows)} rows; --resume continues ${outputPath}.part\n`);
      }
      if (signal.aborted) {
        return INTERRUPTED;
      }
      throw error;
    }
    await output.finish();
    line[Symbol.dispose]();
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    const name = isFile ? `${outputPath}: ` : "";
    process.stderr.write(`${name}${count(counts.rows)} rows, ${count(counts.failed)} failed, ${seconds} s\n`);
    return counts.failed === 0 ? 0 : 1;
  },
};

async function begin(output: PartFile | StreamOutput): Promise<Counts> {
  await output.begin();
  return { rows: 0, failed: 0 };
}

function resumeWith(
  output: PartFile | StreamOutput,
  rows: ReturnType<Table["rows"][typeof Symbol.asyncIterator]>,
): Promise<Counts> {
  if (output instanceof StreamOutput) {
    throw new UsageError("--resume needs an output file");
  }
  return output.continueWith(rows);
}

/** Standard output: CSV, or a table on a terminal. */
class StreamOutput implements AsyncDisposable {
  readonly #stream: Writable;
  readonly #columns: readonly string[];
  readonly #isTerminal: boolean;
  #format: TerminalFormat | typeof CSV | undefined;
  #fault: Error | undefined;

  constructor(stream: Writable, columns: readonly string[], isTerminal: boolean) {
    this.#stream = stream;
    this.#columns = columns;
    this.#isTerminal = isTerminal;
    stream.on("error", (error: Error) => {
      this.#fault = error;
    });
  }

  async begin(): Promise<void> {
    if (!this.#isTerminal) {
      await this.#open([]);
    }
  }

  /** @throws Error when the reader has gone. */
  async write(rows: readonly (readonly unknown[])[]): Promise<void> {
    const format = this.#format ?? (await this.#open(rows));
    await this.#send(rows.map((cells) => format.row(cells, this.#columns)).join(""));
  }

  async finish(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  async #open(firstRows: readonly (readonly unknown[])[]): Promise<TerminalFormat | typeof CSV> {
    this.#format = this.#isTerminal ? new TerminalFormat(this.#columns, firstRows) : CSV;
    await this.#send(this.#format.head(this.#columns));
    return this.#format;
  }

  #send(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#fault !== undefined) {
        reject(this.#fault);
        return;
      }
      this.#stream.write(text, (error) => (error ? reject(error) : resolve()));
    });
  }
}
