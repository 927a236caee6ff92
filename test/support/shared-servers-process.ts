/**
 * Starts the servers that many test files share, each at its first request. Stops all of them when the process that
 * started this one disconnects.
 */
import { once } from "node:events";
import { createServer } from "node:http";

import type { BrowserServer } from "playwright-core";

import { openSnapshot } from "../../src/snapshot/snapshot-source.ts";
import { launchBrowserServer } from "./browser.ts";
import { portOf } from "./port-of.ts";
import { PostgresServer } from "./postgres.ts";
import { silentLogger } from "./silent-logger.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const running = new AsyncDisposableStack();

/** The servers that can be requested, and the answer for each. */
const STARTS: Readonly<Record<string, () => Promise<string>>> = {
  postgres: async () => running.use(await PostgresServer.start()).directory,
  browser: async () => running.adopt(await launchBrowserServer(), (it: BrowserServer) => it.close()).wsEndpoint(),
  snapshot: async () => {
    const { path } = running.use(await temporaryDirectory());
    await using source = openSnapshot({ dataDir: path, logger: silentLogger });
    await source.whenSettled();
    return path;
  },
};
const started = new Map<string, Promise<string>>();

async function start(name: string): Promise<string> {
  const starting = started.get(name) ?? STARTS[name]?.() ?? Promise.reject(new RangeError(`there is no ${name}`));
  started.set(name, starting);
  return await starting;
}

const server = createServer((request, response) => {
  start((request.url ?? "").slice(1)).then(
    (answer) => response.end(answer),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
}).listen(0, "127.0.0.1");
await once(server, "listening");
process.send?.(`http://127.0.0.1:${portOf(server)}`);

await once(process, "disconnect");
server.close();
server.closeAllConnections();
await Promise.allSettled(started.values());
await running.disposeAsync();
