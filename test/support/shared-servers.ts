import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** The URL to request shared servers from. */
    readonly sharedServers: string;
  }
}

/**
 * Offers what is too expensive to start for each test file: a PostgreSQL, a Chromium and an unpacked snapshot. Each is
 * started when the first test requests it, and stopped when the run ends.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const servers = fork(fileURLToPath(new URL("shared-servers-process.ts", import.meta.url)), { execArgv: [] });
  const ended = once(servers, "exit");
  const [address] = await Promise.race([
    once(servers, "message"),
    ended.then(() => Promise.reject(new Error("the shared servers did not start"))),
  ]);
  project.provide("sharedServers", String(address));
  return async () => {
    servers.disconnect();
    await ended;
  };
}
