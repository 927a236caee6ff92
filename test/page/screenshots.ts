/**
 * Takes screenshots of every state of the page in both themes and both sizes:
 *
 *     npm run screenshots -- DIR [PART]
 *
 * PART is a part of the names of the states to show. Default: all.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { launchBrowserServer } from "../support/browser.ts";
import { SIZES, THEMES, VIEWPORTS } from "./open-page.ts";
import { showState } from "./show-state.ts";
import { startScriptedService } from "./scripted-service.ts";
import { STATES } from "./states.ts";

const [directory, part = ""] = process.argv.slice(2);
if (directory === undefined) {
  process.stderr.write("usage: npm run screenshots -- DIR [PART]\n");
  process.exit(2);
}
await mkdir(directory, { recursive: true });

await using stack = new AsyncDisposableStack();
const server = stack.adopt(await launchBrowserServer(), (it) => it.close());
const browser = stack.adopt(await chromium.connect(server.wsEndpoint()), (it) => it.close());
const services = {
  open: stack.use(await startScriptedService(false)),
  guarded: stack.use(await startScriptedService(true)),
};
for (const state of STATES.filter(({ name }) => name.includes(part))) {
  await using open = await showState(browser, services, state);
  for (const theme of THEMES) {
    for (const size of SIZES) {
      await open.page.emulateMedia({ colorScheme: theme });
      await open.page.setViewportSize(VIEWPORTS[size]);
      await open.page.screenshot({
        path: join(directory, `${state.name}-${theme}-${size}.png`),
        fullPage: true,
        animations: "disabled",
      });
    }
  }
  process.stdout.write(`${state.name}\n`);
}
