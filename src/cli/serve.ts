import { serve } from "../serve.ts";
import type { Command } from "./command.ts";
import { parseArguments, UsageError } from "./command.ts";

/** Runs the service, as npm start does. */
export const serveCommand: Command = {
  help: `usage: vehicle-service serve

Runs the service on 127.0.0.1:50051 and 127.0.0.1:8080 until Ctrl-C, as npm start does.
Environment variables change its settings; docs/configuration.md lists them.

examples:
  vehicle-service serve
  HTTP_PORT=9000 vehicle-service serve

exit codes: 0 stopped by a signal, 1 it could not start, 2 wrong arguments`,
  options: {},
  faultCode: 1,
  async run(args) {
    if (parseArguments(args, {}).positionals.length > 0) {
      throw new UsageError("expected no arguments; use environment variables instead");
    }
    await serve(process);
    return Number(process.exitCode ?? 0);
  },
};
