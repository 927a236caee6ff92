import type { Browser } from "playwright-core";
import type { Served } from "../support/serve.ts";
import type { OpenPage } from "./open-page.ts";
import { openPage } from "./open-page.ts";
import type { State } from "./states.ts";

/** The services that the states need. */
export interface ScriptedServices {
  readonly open: Served;
  /** With tokens. */
  readonly guarded: Served;
}

/** Opens the page and brings it into a state. */
export async function showState(browser: Browser, services: ScriptedServices, state: State): Promise<OpenPage> {
  const { fragment, hasTokens = false, hasOwnClock = false, show } = state;
  const { address } = hasTokens ? services.guarded : services.open;
  const open = await openPage(browser, address, { fragment, hasOwnClock });
  await show?.(open.page);
  return open;
}
