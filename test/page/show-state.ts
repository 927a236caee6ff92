import type { Browser, Page } from "playwright-core";
import type { Served } from "../support/serve.ts";
import type { OpenPage } from "./open-page.ts";
import { openPage } from "./open-page.ts";

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
