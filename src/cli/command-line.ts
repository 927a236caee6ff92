import { suggest } from "../table/suggest.ts";
import { TableError } from "../table/table.ts";
import type { Command } from "./command.ts";
import { UsageError } from "./command.ts";
import { describeFault } from "./service-client.ts";

/** The commands with their line in the help. A command is loaded only when it runs, so that each starts fast. */
export const COMMANDS: Readonly<Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>> = {
  serve: {
    summary: "run the service until Ctrl-C",
    load: async () => (await import("./serve.ts")).serveCommand,
  },
  lookup: {
    summary: "decode one VIN",
    load: async () => (await import("./lookup.ts")).lookupCommand,
  },
  decode: {
    summary: "decode a table of VINs: CSV, TSV, text, JSON lines or Parquet",
    load: async () => (await import("./decode.ts")).decodeCommand,
  },
  remove: {
    summary: "remove VINs from the cache",
    load: async () => (await import("./remove.ts")).removeCommand,
  },
  export: {
    summary: "download the cache of a running service as one Parquet file",
    load: async () => (await import("./export.ts")).exportCommand,
  },
  copy: {
    summary: "copy a cache between SQLite and PostgreSQL",
    load: async () => (await import("./copy.ts")).copyCommand,
  },
  snapshot: {
    summary: "check a file of NHTSA's data for SNAPSHOT_PATH",
    load: async () => (await import("./snapshot.ts")).snapshotCommand,
  },
  health: {
    summary: "say whether the service on this machine is ready",
    load: async () => (await import("./health.ts")).healthCommand,
  },
  token: {
    summary: "make a token that lets a caller in, for AUTH_TOKENS_FILE",
    load: async () => (await import("./token.ts")).tokenCommand,
  },
};
const NAMES = Object.keys(COMMANDS);
const HELP = new Set(["--help", "-h"]);

/**
 * Runs the command that the first argument names.
 *
 * @returns the exit code.
 */
export async function runCommandLine([name = "", ...args]: readonly string[]): Promise<number> {
  if (name === "help" && args[0] !== undefined) {
    return runCommandLine([args[0], "--help"]);
  }
  if (name === "help" || HELP.has(name)) {
    process.stdout.write(`${formatHelp()}\n`);
    return 0;
  }
  const entry = COMMANDS[name];
  if (entry === undefined) {
    const fault = name === "" ? "expected a command" : `unknown command ${name}${suggest(name, NAMES)}`;
    process.stderr.write(`vehicle-service: ${fault}\n\n${formatHelp()}\n`);
    return 2;
  }
  const command = await entry.load();
  const options = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  if (options.some((arg) => HELP.has(arg))) {
    process.stdout.write(`${command.help}\n`);
    return 0;
  }
  try {
    return await command.run(args);
  } catch (error) {
    const isUsage = error instanceof UsageError || error instanceof TableError;
    const hint = isUsage ? `\nvehicle-service ${name} --help shows the arguments` : "";
    process.stderr.write(`${name}${isUsage ? "" : " failed"}: ${describeFault(error)}${hint}\n`);
    return isUsage ? 2 : command.faultCode;
  }
}

function formatHelp(): string {
  const width = Math.max(...NAMES.map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `usage: vehicle-service COMMAND [argument...]

${lines.join("\n")}

vehicle-service COMMAND --help shows the arguments of a command, with examples. In a
checkout, begin each command with npx.`;
}
