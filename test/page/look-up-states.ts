import type { Page } from "playwright-core";
import { enterVin, giveToken } from "./open-page.ts";
import { VIN } from "./scripted-service.ts";
import type { State } from "./show-state.ts";

/** The states of the tab Look up. */
export const LOOK_UP_STATES: readonly State[] = [
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
      // The real clipboard is that of all pages of the browser, and a test may be using it.
      await page.evaluate("navigator.clipboard.writeText = async () => {}");
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

function lookedUp(vin: string): (page: Page) => Promise<void> {
  return async (page) => {
    await enterVin(page, vin);
    await page.waitForSelector("article, .answer [role=alert]");
  };
}
