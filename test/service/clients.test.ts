import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { connectBrowser } from "../support/shared.ts";
import { npmClients } from "./clients/all-clients.ts";
import { describeClients } from "./clients/describe-clients.ts";

let browser: Browser;

beforeAll(async () => {
  browser = await connectBrowser();
});

afterAll(() => browser.close());

// The same with TLS uses both ports; only CI runs it.
describeClients(
  npmClients(() => browser),
  { takesTurns: true },
);
