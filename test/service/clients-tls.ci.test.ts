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

describeClients(
  npmClients(() => browser),
  { withTls: true },
);
