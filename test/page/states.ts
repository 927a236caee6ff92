import type { Page } from "playwright-core";
import { manyVins } from "../support/real-vins.ts";
import { enterVin } from "./open-page.ts";
import { VIN } from "./scripted-service.ts";

/** One state that the page can be in, with the way to it. */
export interface State {
  readonly name: string;
  /** The text after the `#`. */
  readonly fragment: string;
  /** Whether the service has tokens. Default: it has none. */
  readonly hasTokens?: boolean;
  /** Whether the page's clock stands still unless the state moves it. */
  readonly hasOwnClock?: boolean;
  /** Whether it takes a minute and has nothing in it that another state has not. */
  readonly isLong?: boolean;
  readonly show?: (page: Page) => Promise<unknown>;
}

const TRUCKS = manyVins(60);
const READ_EVERY_MS = 2_000;

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

const lookedUp =
  (vin: string) =>
  async (page: Page): Promise<void> => {
    await enterVin(page, vin);
    await page.waitForSelector("article, .answer [role=alert]");
  };

async function startList(page: Page, list: string): Promise<void> {
  await page.fill("[name=list]", list);
  await page.click(".report button.primary");
  await page.waitForSelector(".progress");
}

async function finishList(page: Page, list: string): Promise<void> {
  await startList(page, list);
  await page.waitForSelector("button:text-is('Stop')", { state: "detached" });
}

async function readFigures(page: Page, times: number): Promise<void> {
  await page.waitForSelector(".calls");
  for (let time = 0; time < times; time++) {
    await Promise.all([page.waitForResponse("**/metrics"), page.clock.runFor(READ_EVERY_MS)]);
  }
}

async function giveToken(page: Page, token: string): Promise<void> {
  await page.waitForSelector("[name=token]:focus");
  await page.fill("[name=token]", token);
  await page.press("[name=token]", "Enter");
}

const LOOK_UP_STATES: readonly State[] = [
  { name: "look-up-empty", fragment: "" },
  { name: "look-up-partial", fragment: "", show: (page) => page.fill("[name=vin]", "1XPWD40") },
  { name: "look-up-wrong-letters", fragment: "", show: (page) => page.fill("[name=vin]", "1XPWD4OX1ED2153O7") },
  { name: "look-up-check-digit", fragment: "", show: (page) => page.fill("[name=vin]", "1XPWD40X2ED215307") },
  { name: "look-up-check-digit-abroad", fragment: "", show: (page) => page.fill("[name=vin]", "WVWZZZ1JZ3W386752") },
  {
    name: "look-up-wrong-year",
    fragment: "",
    show: async (page) => {
      await page.fill("[name=vin]", VIN.fresh);
      await page.fill("[name=year]", "1914");
    },
  },
  {
    name: "look-up-waiting",
    fragment: "",
    show: async (page) => {
      await enterVin(page, VIN.held);
      await page.waitForSelector(".waiting");
    },
  },
  { name: "look-up-fresh", fragment: "", show: lookedUp(VIN.fresh) },
  {
    name: "look-up-year-given",
    fragment: `#${VIN.fresh}/2015`,
    show: (page) => page.waitForSelector("article"),
  },
  { name: "look-up-cached", fragment: "", show: lookedUp(VIN.cached) },
  { name: "look-up-stale", fragment: "", show: lookedUp(VIN.stale) },
  { name: "look-up-snapshot", fragment: "", show: lookedUp(VIN.snapshot) },
  {
    name: "look-up-suggested",
    fragment: "",
    show: async (page) => {
      await lookedUp(VIN.suggested)(page);
      await page.click("summary:has(.badge)");
    },
  },
  { name: "look-up-likely", fragment: "", show: lookedUp(VIN.likely) },
  { name: "look-up-bare", fragment: "", show: lookedUp(VIN.bare) },
  { name: "look-up-markup", fragment: "", show: lookedUp(VIN.markup) },
  {
    name: "look-up-filtered",
    fragment: "",
    show: async (page) => {
      await lookedUp(VIN.fresh)(page);
      await page.fill("[name=filter]", "engine");
    },
  },
  {
    name: "look-up-filtered-away",
    fragment: "",
    show: async (page) => {
      await lookedUp(VIN.fresh)(page);
      await page.fill("[name=filter]", "sunroof");
    },
  },
  {
    name: "look-up-ids-and-focus",
    fragment: "",
    show: async (page) => {
      await lookedUp(VIN.fresh)(page);
      await page.click(".internal summary");
      await page.click(".copies button:has-text('curl')");
      await page.keyboard.press("Tab");
    },
  },
  { name: "look-up-unknown", fragment: "", show: lookedUp(VIN.unknown) },
  { name: "look-up-no-source", fragment: "", show: lookedUp(VIN.noSource) },
  { name: "look-up-limited", fragment: "", show: lookedUp(VIN.limited) },
  {
    name: "look-up-lost-network",
    fragment: "",
    show: async (page) => {
      await page.route("**/Lookup", (route) => route.abort());
      await lookedUp(VIN.fresh)(page);
    },
  },
  { name: "look-up-token-asked", fragment: "", hasTokens: true, show: lookedUp(VIN.fresh) },
  {
    name: "look-up-token-unknown",
    fragment: "",
    hasTokens: true,
    show: async (page) => {
      await lookedUp(VIN.fresh)(page);
      await giveToken(page, "vs_wrong");
      await page.waitForSelector("text=unknown or has expired");
    },
  },
  {
    name: "look-up-no-scope",
    fragment: "",
    hasTokens: true,
    show: async (page) => {
      await lookedUp(VIN.fresh)(page);
      await giveToken(page, "vs_remove");
      await page.waitForSelector("text=lacks the scope");
    },
  },
];

const MANY_STATES: readonly State[] = [
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

const SERVICE_STATES: readonly State[] = [
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
      await page.waitForSelector("button:text-is('Export')");
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

/** Every state of the page that a person may see. */
export const STATES: readonly State[] = [...LOOK_UP_STATES, ...MANY_STATES, ...SERVICE_STATES];
