import { copyCache, CopyError } from "../cache/copy-cache.ts";
import { parseDatabaseUrl } from "../cache/database-url.ts";
import type { Command } from "./command.ts";
import { parseArguments, untilInterrupted, UsageError } from "./command.ts";
import { count, ProgressLine } from "./progress-line.ts";

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Copies a cache to another database. */
export const copyCommand: Command = {
  help: `usage: vehicle-service copy FROM TO

Copies a cache to another database, compares the two, and prints the number of vehicles,
the number of recorded removals, and a checksum.

  FROM, TO  URLs of databases, as for DATABASE_URL: sqlite:path/to/file.db or
            postgres://user:password@host:port/database. PGPASSWORD may have the password

Stop the services that use FROM or TO first. To continue an interrupted copy, start it
again. The command refuses a TO with entries that are newer than all of FROM.

examples:
  vehicle-service copy sqlite:data/vehicles.db postgres://vehicles@db/vehicles

exit codes: 0 copied and equal, 1 not copied or not equal, 2 wrong arguments`,
  options: {},
  faultCode: 1,
  async run(args) {
    const [from, to, ...others] = parseArguments(args, {}).positionals;
    if (from === undefined || to === undefined || others.length > 0) {
      throw new UsageError("expected FROM and TO");
    }
    checkUrl("FROM", from);
    checkUrl("TO", to);
    const { vehicles, removals, checksum } = await copyWithProgress(from, to);
    process.stdout.write(`${count(vehicles)} vehicles, ${count(removals)} removals, SHA-256 ${checksum}\n`);
    return 0;
  },
};

function checkUrl(name: string, url: string): void {
  try {
    parseDatabaseUrl(url);
  } catch (error) {
    throw new UsageError(`${name}: ${error instanceof Error ? error.message : "not usable"}`);
  }
}

async function copyWithProgress(from: string, to: string): ReturnType<typeof copyCache> {
  using line = new ProgressLine(process.stderr);
  try {
    return await copyCache({
      from,
      to,
      logger: QUIET,
      signal: untilInterrupted(),
      onProgress: (rows, total) => line.update({ rows, failed: 0, share: total === 0 ? undefined : rows / total }),
    });
  } catch (error) {
    // Another error may have what the database says about its rows.
    throw error instanceof CopyError
      ? error
      : new Error("a database does not answer, or the copy was interrupted", { cause: error });
  }
}
