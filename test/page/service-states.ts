import type { Page } from "playwright-core";
import { giveToken } from "./open-page.ts";
import { VIN } from "./scripted-service.ts";
import type { State } from "./show-state.ts";

const READ_EVERY_MS = 2_000;

/** The states of the tab Service. */
export const SERVICE_STATES: readonly State[] = [
  { name: "service-first", fragment: "#service", show: (page) => page.waitForSelector(".calls") },
  {
    name: "service-a-minute",
    fragment: "#service",
    hasOwnClock: true,
    show: (page) => readFigures(page, 20),
  },
  {
    name: "service-ten-minutes",
    fragment: "#service",
    hasOwnClock: true,
    isLong: true,
    show: (page) => readFigures(page, 310),
  },
  {
    name: "service-lost",
    fragment: "#service",
    show: async (page) => {
      await page.waitForSelector(".calls");
      await page.route("**/metrics", (route) => route.abort());
      await page.waitForSelector("[role=alert]");
    },
  },
  {
    name: "service-no-answer-at-all",
    fragment: "",
    show: async (page) => {
      await page.route(/metrics|status/, (route) => route.abort());
      await page.click("#tab-service");
      await page.waitForSelector("[role=alert]");
    },
  },
  {
    name: "service-vpic-paused",
    fragment: "",
    show: async (page) => {
      await page.route("**/metrics", async (route) => {
        const response = await route.fetch();
        const body = (await response.text()).replace("breaker_closed 1", "breaker_closed 0");
        await route.fulfill({ response, body: body.replace("breaker_open 0", "breaker_open 1") });
      });
      await page.route("**/status", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...(await response.json()), cache: undefined } });
      });
      await page.click("#tab-service");
      await page.waitForSelector("text=Paused after failures");
      await page.waitForSelector("text=does not answer");
    },
  },
  {
    name: "service-without-vpic",
    fragment: "#service",
    show: async (page) => {
      const snapshot = { state: "preparing", isEmbedded: true };
      await page.route("**/status", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, json: { ...(await response.json()), sources: ["snapshot"], snapshot } });
      });
      await page.click("#tab-look-up");
      await page.click("#tab-service");
      await page.waitForSelector("text=Not a source");
    },
  },
  {
    name: "service-remove-wrong",
    fragment: "#service",
    show: (page) => page.fill("[name=remove-vin]", "1XPWD4O"),
  },
  {
    name: "service-remove-asked",
    fragment: "#service",
    show: async (page) => {
      await page.fill("[name=remove-vin]", VIN.fresh);
      await page.click("text=Remove …");
    },
  },
  {
    name: "service-removed",
    fragment: "#service",
    show: async (page) => {
      await page.fill("[name=remove-vin]", VIN.fresh);
      await page.click("text=Remove …");
      await page.click("text=Remove it");
      await page.waitForSelector("text=was removed");
    },
  },
  {
    name: "service-exporting",
    fragment: "#service",
    show: async (page) => {
      await page.click("button:text-is('Export')");
      await page.waitForSelector("text=1.3 MB of");
    },
  },
  {
    name: "service-export-stopped",
    fragment: "#service",
    show: async (page) => {
      await page.click("button:text-is('Export')");
      await page.waitForSelector("text=1.3 MB of");
      await page.click("button:text-is('Stop')");
      await page.waitForSelector("text=Stopped.");
    },
  },
  {
    name: "service-token-asked",
    fragment: "#service",
    hasTokens: true,
    show: (page) => page.waitForSelector("[name=token]"),
  },
  {
    name: "service-scopes",
    fragment: "#service",
    hasTokens: true,
    show: async (page) => {
      await giveToken(page, "vs_remove");
      await page.waitForSelector("[name=remove-vin]");
    },
  },
];

async function readFigures(page: Page, times: number): Promise<void> {
  await page.waitForSelector(".calls");
  for (let time = 0; time < times; time++) {
    await Promise.all([page.waitForResponse("**/metrics"), page.clock.runFor(READ_EVERY_MS)]);
  }
}
