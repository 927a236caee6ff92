import type { Page } from "playwright-core";
import { manyVins } from "../support/real-vins.ts";
import { VIN } from "./scripted-service.ts";
import type { State } from "./show-state.ts";

const TRUCKS = manyVins(60);

/** A table with everything that can be said of a list before it is sent. */
const MESSY = [
  "Unit;VIN;Year;Note",
  ...TRUCKS.slice(0, 14).map((vin, index) => `${index + 1};${vin};${index === 3 ? "n/a" : 2014};`),
  `15;${TRUCKS[0]};2014;again`,
  `16;${TRUCKS[20]?.slice(0, 9)}-${TRUCKS[20]?.slice(9)};2014;"with a ; and ""quotes"""`,
  ";;;",
  `17;${VIN.suggested};2012;`,
  "18;1XPWD4OX1ED2153O7;2014;",
  "19;to be told;2014;",
].join("\n");

const MIXED = [
  "Unit,VIN",
  ...Object.values(VIN)
    .filter((vin) => vin !== VIN.held && vin !== VIN.limited)
    .map((vin, index) => `${index + 1},${vin}`),
  ...TRUCKS.slice(0, 30).map((vin, index) => `${index + 20},${vin}`),
  "70,1XPWD4OX1ED2153O7",
].join("\n");

/** The states of the tab Many. */
export const MANY_STATES: readonly State[] = [
  { name: "many-empty", fragment: "#many" },
  { name: "many-dragged-over", fragment: "#many", show: (page) => page.dispatchEvent(".drop", "dragover") },
  { name: "many-column", fragment: "#many", show: (page) => page.fill("[name=list]", TRUCKS.slice(0, 30).join("\n")) },
  { name: "many-messy", fragment: "#many", show: (page) => page.fill("[name=list]", MESSY) },
  { name: "many-no-vin", fragment: "#many", show: (page) => page.fill("[name=list]", "hello\nworld") },
  {
    name: "many-workbook",
    fragment: "#many",
    show: async (page) => {
      const buffer = Buffer.from("PK\u0003\u0004");
      await page.setInputFiles("input[type=file]", { name: "fleet.xlsx", mimeType: "application/zip", buffer });
      await page.waitForSelector(".notice.bad");
    },
  },
  {
    name: "many-running",
    fragment: "#many",
    show: async (page) => {
      await startList(page, [...TRUCKS.slice(0, 20), VIN.unknown, VIN.held, ...TRUCKS.slice(20)].join("\n"));
      await page.waitForSelector("text=21 of 62");
    },
  },
  {
    name: "many-stopped",
    fragment: "#many",
    show: async (page) => {
      await startList(page, [...TRUCKS.slice(0, 20), VIN.held, ...TRUCKS.slice(20)].join("\n"));
      await page.waitForSelector("text=20 of 61");
      await page.click("button:text-is('Stop')");
    },
  },
  {
    name: "many-waiting-for-the-limit",
    fragment: "#many",
    show: async (page) => {
      await startList(page, [...TRUCKS.slice(0, 20), VIN.limited].join("\n"));
      await page.waitForSelector("text=rate limit");
    },
  },
  {
    name: "many-broken",
    fragment: "#many",
    show: async (page) => {
      await page.route("**/BatchLookup", async (route) => {
        const response = await route.fetch();
        const body = await response.body();
        await route.fulfill({ response, body: body.subarray(0, body.length / 2) });
      });
      await finishList(page, TRUCKS.slice(0, 30).join("\n"));
    },
  },
  { name: "many-done", fragment: "#many", show: (page) => finishList(page, TRUCKS.join("\n")) },
  { name: "many-done-with-problems", fragment: "#many", show: (page) => finishList(page, MIXED) },
  {
    name: "many-problems",
    fragment: "#many",
    show: async (page) => {
      await finishList(page, MIXED);
      await page.click("text=/^Problems/");
    },
  },
  {
    name: "many-no-problems",
    fragment: "#many",
    show: async (page) => {
      await finishList(page, TRUCKS.slice(0, 3).join("\n"));
      await page.click("text=/^Problems/");
    },
  },
  {
    name: "many-sorted-and-focus",
    fragment: "#many",
    show: async (page) => {
      await finishList(page, MIXED);
      await page.click("role=columnheader[name=Vehicle] >> button");
      await page.click("role=columnheader[name=Vehicle] >> button");
      await page.keyboard.press("Tab");
    },
  },
  {
    name: "many-token-asked",
    fragment: "#many",
    hasTokens: true,
    show: (page) => finishList(page, TRUCKS.join("\n")),
  },
];

async function startList(page: Page, list: string): Promise<void> {
  await page.fill("[name=list]", list);
  await page.click(".report button.primary");
  await page.waitForSelector(".progress");
}

async function finishList(page: Page, list: string): Promise<void> {
  await startList(page, list);
  await page.waitForSelector("button:text-is('Stop')", { state: "detached" });
}
