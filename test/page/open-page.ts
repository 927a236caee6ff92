import { AxeBuilder } from "@axe-core/playwright";
import type { Browser, BrowserContext, Page } from "playwright-core";

export const SIZES = ["phone", "desk"] as const;
export const THEMES = ["light", "dark"] as const;

/** The sizes of the window in CSS pixels. */
export const VIEWPORTS = { phone: { width: 360, height: 780 }, desk: { width: 1400, height: 900 } };

export interface PageOptions {
  /** The text after the `#`. */
  readonly fragment?: string;
  readonly protocol?: "Connect" | "gRPC-Web";
  /** Whether a test moves the page's clock. Default: it runs by itself. */
  readonly hasOwnClock?: boolean;
}

/** The page in a browser of its own. Dispose of it to close the browser. */
export interface OpenPage extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** The browser's errors, such as violations of the security policy. */
  readonly complaints: string[];
}

/** Opens the page of a service. */
export async function openPage(
  browser: Browser,
  address: string,
  { fragment = "", protocol, hasOwnClock = false }: PageOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext({
    viewport: VIEWPORTS.desk,
    colorScheme: "light",
    permissions: ["clipboard-read", "clipboard-write"],
    acceptDownloads: true,
  });
  // On a busy machine everything takes longer.
  context.setDefaultTimeout(100_000);
  const page = await context.newPage();
  if (hasOwnClock) {
    await page.clock.install();
  }
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // The browser also writes a line for each answer with an error status.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(message.text());
    }
  });
  await page.goto(`http://${address}/${fragment}`);
  if (protocol !== undefined) {
    await page.selectOption("footer select", protocol);
  }
  return {
    page,
    context,
    complaints,
    async [Symbol.asyncDispose]() {
      // The page goes on making requests. A handler that has one of them when the page closes would fail.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await context.close();
    },
  };
}

/** Stops the page's own clock, so that what is shown for a moment stays until a test moves the clock. */
export async function stopClock(page: Page): Promise<void> {
  await page.clock.pauseAt((await page.evaluate<number>("Date.now()")) + 1_000);
}

/** Types a VIN and presses Enter. */
export async function enterVin(page: Page, vin: string): Promise<void> {
  await page.fill("[name=vin]", vin);
  await page.press("[name=vin]", "Enter");
}

/** Enters a token in the form that asks for one. */
export async function giveToken(page: Page, token: string): Promise<void> {
  await page.waitForSelector("[name=token]:focus");
  await page.fill("[name=token]", token);
  await page.press("[name=token]", "Enter");
}

/** Pastes a text into the focused element. */
export async function paste(page: Page, text: string): Promise<void> {
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
  await page.keyboard.press("ControlOrMeta+V");
}

/** The text in the clipboard. */
export function readClipboard(page: Page): Promise<string> {
  return page.evaluate("navigator.clipboard.readText()");
}

/** The findings of axe, whether something is wider than the window, and the browser's errors. */
export async function flawsOf({ page, complaints }: OpenPage): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page })
    .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"])
    .analyze();
  const isTooWide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
  return [
    ...violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`),
    ...(isTooWide === true ? ["something is wider than the window"] : []),
    ...complaints,
  ];
}
