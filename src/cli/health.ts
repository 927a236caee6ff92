import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";
import { loadConfig } from "../config.ts";
import type { Command } from "./command.ts";
import { parseArguments, UsageError } from "./command.ts";

const TIMEOUT_MS = 5_000;
/** Addresses that a service may listen on, and the address to reach it at. */
const REACHABLE: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Asks the service on this machine whether it is ready, for health checks of containers. */
export const healthCommand: Command = {
  help: `usage: vehicle-service health

Asks the service on this machine whether it is ready, at /readyz. Takes its address from
the environment variables of the service, such as HTTP_PORT. Accepts any certificate.

examples:
  vehicle-service health
  HTTP_PORT=9000 vehicle-service health

exit codes: 0 ready, 1 not ready, 2 wrong arguments or configuration`,
  options: {},
  faultCode: 2,
  async run(args) {
    if (parseArguments(args, {}).positionals.length > 0) {
      throw new UsageError("expected no arguments; use environment variables instead");
    }
    const { host, httpPort, tls } = loadConfig(process.env);
    const hostname = REACHABLE[host] ?? host;
    try {
      const options = { hostname, port: httpPort, path: "/readyz", agent: false, timeout: TIMEOUT_MS };
      const asking =
        tls.certFile === undefined ? httpRequest(options) : httpsRequest({ ...options, rejectUnauthorized: false });
      asking.on("timeout", () => asking.destroy(new Error("no answer in time"))).end();
      const [response] = await once(asking, "response");
      process.stdout.write(await text(response));
      return response.statusCode === 200 ? 0 : 1;
    } catch (error) {
      process.stderr.write(`not reachable: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
  },
};
