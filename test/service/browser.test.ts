import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleForBrowser, launchBrowser } from "../support/browser.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

const [VIN = "", SLOW_VIN = ""] = manyVins(2);

let app: TestApp;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  app = await startTestApp({
    vpic: { respondWith: ({ vins }) => (vins.includes(SLOW_VIN) ? { kind: "silence" } : undefined) },
  });
  browser = await launchBrowser();
  page = await browser.newPage();
  await page.goto(`http://${app.httpAddress}/`);
});

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
});

describe("Chromium", () => {
  test.each(["connect", "grpc-web"] as const)("makes every kind of call with Connect-Web's %s", async (protocol) => {
    const bundle = await bundleForBrowser("browser-client.ts", "browserClient");

    const report = await page.evaluate(
      `${bundle}; browserClient.callEverything("${protocol}", "http://${app.httpAddress}", "${VIN}", "${SLOW_VIN}")`,
    );

    expect(report).toEqual({
      make: "PETERBILT",
      badField: "vin",
      atDeadline: expect.stringMatching(/^(Unavailable|DeadlineExceeded)$/),
      canceled: "Canceled",
      exportedBytes: expect.any(Number),
      announcedBytes: expect.any(Number),
    });
    const { exportedBytes, announcedBytes } = Object(report);
    expect(exportedBytes).toBeGreaterThan(0);
    expect(exportedBytes).toBe(announcedBytes);
  });

  test("shows a vehicle on the service's own page", async () => {
    await page.fill("input", VIN);
    await page.click("button");
    await page.waitForSelector("dd");

    expect(await page.innerText("dl")).toMatch(/Make\s+PETERBILT/);
  });
});
