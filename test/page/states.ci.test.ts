import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectBrowser } from "../support/shared.ts";
import { flawsOf, VIEWPORTS } from "./open-page.ts";
import { startScriptedService } from "./scripted-service.ts";
import type { ScriptedServices } from "./show-state.ts";
import { showState } from "./show-state.ts";
import { STATES } from "./states.ts";

const running = new AsyncDisposableStack();
let browser: Browser;
let services: ScriptedServices;

beforeAll(async () => {
  browser = await connectBrowser();
  services = {
    open: running.use(await startScriptedService(false)),
    guarded: running.use(await startScriptedService(true)),
  };
});

afterAll(async () => {
  await browser.close();
  await running.disposeAsync();
});

const shown = STATES.filter(({ isLong }) => isLong !== true);

test.each(shown)("$name has no flaw that axe finds, light on a phone and dark on a desk", async (state) => {
  await using open = await showState(browser, services, state);
  const { page } = open;

  // Colors depend on the theme and layout on the size, so two of the four combinations show every flaw. In a transition
  // between two themes, colors could have too little contrast.
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await page.setViewportSize(VIEWPORTS.phone);
  const onPhone = await flawsOf(open);
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize(VIEWPORTS.desk);
  const onDesk = await flawsOf(open);

  expect([...onPhone, ...onDesk]).toEqual([]);
});
