import { createInterface } from "node:readline/promises";
import { InvalidFieldError } from "../vehicle/errors.ts";
import type { Command } from "./command.ts";
import { parseArguments, untilInterrupted, UsageError } from "./command.ts";
import { openDecoder } from "./decoder.ts";
import { count, ProgressLine } from "./progress-line.ts";
import { readOptionalService, SERVICE_HELP, SERVICE_OPTIONS } from "./service-client.ts";
import { readVins } from "./open-table.ts";

const OPTIONS = {
  from: { type: "string" },
  column: { type: "string" },
  yes: { type: "boolean" },
  ...SERVICE_OPTIONS,
} as const;

/** Removals at a time. */
const CONCURRENCY = 16;

/** Removes VINs from the cache. */
export const removeCommand: Command = {
  help: `usage: vehicle-service remove [options] VIN...
       vehicle-service remove [options] --from FILE

Removes VINs from the cache. The next lookup of such a VIN asks the sources again.

  --from FILE         a table with the VINs: CSV, TSV, text with one VIN per line, JSON
                      lines or Parquet. The command asks before it removes them
  --column NAME       the column with the VINs. Without it, the command finds the column
                      by its name or its content
  --yes               do not ask
  --address ADDRESS   ask a running service: a URL such as http://127.0.0.1:8080, or
                      host:port for gRPC without TLS
${SERVICE_HELP}

Without --address, the command opens the cache that a service with the same environment
variables would use.

examples:
  vehicle-service remove 1XPWD40X1ED215307
  vehicle-service remove --from vins.csv --address http://127.0.0.1:8080

exit codes: 0 done, 1 some VINs are malformed, 2 the command could not run or was not
confirmed`,
  options: OPTIONS,
  faultCode: 2,
  async run(args) {
    const { values, positionals } = parseArguments(args, OPTIONS);
    const { from, address, yes = false } = values;
    if ((from === undefined) === (positionals.length === 0)) {
      throw new UsageError("expected either VINs or --from FILE");
    }
    if (values.column !== undefined && from === undefined) {
      throw new UsageError("--column needs --from");
    }
    if (from === "-") {
      throw new UsageError("--from: expected a file, not standard input");
    }
    const service = readOptionalService(values);
    let total = 0;
    for await (const _ of vinsOf(values, positionals)) {
      total++;
    }
    if (from !== undefined && !yes && !(await confirm(total, address))) {
      process.stderr.write("nothing was removed\n");
      return 2;
    }

    await using decoder = await openDecoder(service);
    const signal = untilInterrupted();
    using line = new ProgressLine(process.stderr);
    const done = { rows: 0, failed: 0 };
    let removed = 0;
    const vins = vinsOf(values, positionals);
    const removeAll = async (): Promise<void> => {
      for (let next = await vins.next(); next.done !== true; next = await vins.next()) {
        signal.throwIfAborted();
        try {
          const wasCached = await decoder.remove(next.value, signal);
          removed += wasCached ? 1 : 0;
        } catch (error) {
          if (!(error instanceof InvalidFieldError)) {
            throw error;
          }
          done.failed++;
          process.stderr.write(`${JSON.stringify(next.value)}: ${error.message}\n`);
        }
        done.rows++;
        line.update({ ...done, share: done.rows / total });
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, removeAll));
    line[Symbol.dispose]();
    process.stderr.write(
      `${count(total)} VINs: ${count(removed)} were in the cache, ${count(done.failed)} malformed\n`,
    );
    return done.failed === 0 ? 0 : 1;
  },
};

async function* vinsOf(
  { from, column }: { readonly from?: string | undefined; readonly column?: string | undefined },
  vins: readonly string[],
): AsyncGenerator<string> {
  yield* vins;
  if (from !== undefined) {
    yield* readVins(from, column);
  }
}

/** @throws UsageError without a terminal to ask on. */
async function confirm(total: number, address: string | undefined): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new UsageError("there is no terminal to ask for confirmation; add --yes");
  }
  const cache = address === undefined ? "the configured cache" : `the cache of ${address}`;
  using questions = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await questions.question(`Remove ${count(total)} VINs from ${cache}? [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}
