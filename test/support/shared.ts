import { link } from "node:fs/promises";
import { join } from "node:path";

import type { Browser } from "playwright-core";
import { chromium as playwright } from "playwright-core";
import { inject } from "vitest";

import { createDatabase } from "./postgres.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

async function ask(name: "postgres" | "browser" | "snapshot"): Promise<string> {
  const response = await fetch(`${inject("sharedServers")}/${name}`);
  const answer = await response.text();
  if (!response.ok) {
    throw new Error(`cannot start the shared ${name}: ${answer}`);
  }
  return answer;
}

/** Creates an empty database on the PostgreSQL server that all test files share, and returns its URL. */
export async function createSharedDatabase(name: string): Promise<string> {
  return await createDatabase(await ask("postgres"), name);
}

/** The Chromium that all test files share. Closing it closes the pages that were opened through it. */
export async function connectBrowser(): Promise<Browser> {
  return await playwright.connect(await ask("browser"));
}

/** A data directory that has the unpacked embedded snapshot. */
export async function directoryWithSnapshot(): Promise<Awaited<ReturnType<typeof temporaryDirectory>>> {
  const directory = await temporaryDirectory();
  await link(join(await ask("snapshot"), "snapshot.bin"), join(directory.path, "snapshot.bin"));
  return directory;
}
