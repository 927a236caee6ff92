import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digestOf } from "../../src/access/token.ts";
import { manyVins } from "../support/real-vins.ts";
import { connectBrowser } from "../support/shared.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { enterVin, openPage } from "./open-page.ts";

const [VIN = ""] = manyVins(1);

let app: TestApp;
let browser: Browser;

beforeAll(async () => {
  app = await startTestApp();
  browser = await connectBrowser();
});

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
});

test("a VIN in the address is looked up, and its text is never markup", async () => {
  app.vpic.setFacts(VIN, { Model: "<img src=x onerror=alert(1)>", Note: "<b>bold</b> & more" });
  await using open = await openPage(browser, app.httpAddress, { fragment: `#${VIN}` });

  await open.page.waitForSelector("article h2");

  expect(await open.page.innerText("article h2")).toBe("2014 PETERBILT <img src=x onerror=alert(1)> · Truck-Tractor");
  expect(await open.page.innerText(".record")).toContain("<b>bold</b> & more");
  expect(await open.page.locator("#page img, #page b").count()).toBe(0);
  expect(open.complaints).toEqual([]);
});

test("the page asks for a token when one is needed, and then continues the look-up with it", async () => {
  await using directory = await temporaryDirectory();
  const tokens = join(directory.path, "tokens");
  await writeFile(tokens, `reader ${digestOf("vs_reader")} lookup\nremover ${digestOf("vs_remover")} remove\n`);
  await using guarded = await startTestApp({ env: { AUTH_TOKENS_FILE: tokens } });
  await using open = await openPage(browser, guarded.httpAddress);
  const { page } = open;
  const asksAtFirst = await page.isVisible("[name=token]");

  await enterVin(page, VIN);
  await page.waitForSelector("[name=token]:focus");
  await page.keyboard.type("vs_wrong");
  await page.keyboard.press("Enter");
  await page.waitForSelector("text=unknown or has expired");
  await page.fill("[name=token]", "vs_remover");
  await page.press("[name=token]", "Enter");
  await page.waitForSelector("text=The token lacks the scope");
  await page.fill("[name=token]", "vs_reader");
  await page.keyboard.press("Enter");
  await page.waitForSelector("article h2");

  expect(asksAtFirst).toBe(false);
  expect(await page.evaluate("document.activeElement.id")).toBe("panel-look-up");
  expect(await page.innerText("article h2")).toMatch(/^2014 PETERBILT/);
  expect(await page.evaluate("JSON.stringify([localStorage.length, sessionStorage.length, document.cookie])")).toBe(
    '[0,0,""]',
  );
});
