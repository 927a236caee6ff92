import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { Browser, Page, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../src/access/token.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { manyVins } from "../support/real-vins.ts";
import { connectBrowser } from "../support/shared.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { openPage } from "./open-page.ts";

const VINS = manyVins(30);
const [FIRST = "", SECOND = "", THIRD = ""] = VINS;
const SERVICE = "vehicle.v1.VehicleService";

let app: TestApp;
let browser: Browser;

beforeAll(async () => {
  app = await startTestApp({ env: { VPIC_REQUESTS_PER_SECOND: "1000" } });
  browser = await connectBrowser();
});

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
});

async function lookUp(address: string, vins: readonly string[]): Promise<void> {
  for (const vin of vins) {
    await fetch(`http://${address}/${SERVICE}/Lookup`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ vin }),
    });
  }
}

/** A service with a token for each of these scopes, named as the scope. */
async function serveWithTokens(scopes: readonly string[]): Promise<AsyncDisposable & { readonly app: TestApp }> {
  await using starting = new AsyncDisposableStack();
  const directory = starting.use(await temporaryDirectory());
  const file = join(directory.path, "tokens");
  await writeFile(file, scopes.map((scope) => `${scope} ${digestOf(`vs_${scope}`)} ${scope}\n`).join(""));
  const guarded = starting.use(await startTestApp({ env: { AUTH_TOKENS_FILE: file } }));
  const running = starting.move();
  return { app: guarded, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Waits until a value with this name is shown. */
async function waitForRow(page: Page, name: string, value: string): Promise<void> {
  await page.waitForSelector(`.tile dl > div:has(dt:text-is("${name}")):has(dd:text-is("${value}"))`);
}

describe.each(["Connect", "gRPC-Web"] as const)("over %s", (protocol) => {
  test("an entry is removed after a confirmation that names its VIN", async () => {
    await using open = await openPage(browser, app.httpAddress, { protocol, fragment: "#service" });
    const { page } = open;
    await lookUp(app.httpAddress, [FIRST, SECOND]);
    await page.fill("[name=remove-vin]", FIRST.toLowerCase());

    await page.click("text=Remove …");
    const focused = await page.evaluate("document.activeElement.innerText");
    const question = await page.innerText("dialog h2");
    await page.click("text=Keep it");
    await page.click("text=Remove …");
    await page.click("text=Remove it");
    await page.waitForSelector(`.action >> text=${FIRST} was removed from the cache.`);
    await page.click("text=Remove …");
    await page.click("text=Remove it");
    await page.waitForSelector(`.action >> text=The cache had no entry for ${FIRST}.`);

    expect([question, focused]).toEqual([`Remove ${FIRST}?`, "Keep it"]);
    expect(app.logger.lines.filter(({ fields }) => fields["action"] === "Remove").length).toBeGreaterThanOrEqual(2);
  });

  test("the export is saved as one whole Parquet file", async () => {
    await using open = await openPage(browser, app.httpAddress, { protocol, fragment: "#service" });
    await lookUp(app.httpAddress, [SECOND, THIRD]);

    const [download] = await Promise.all([
      open.page.waitForEvent("download"),
      open.page.click("button:text-is('Export')"),
    ]);
    await open.page.waitForSelector(`.action >> text=${download.suggestedFilename()}`);

    const file = await buffer(await download.createReadStream());
    const rows = await queryParquet(file, "select vin from $file order by vin");
    expect(download.suggestedFilename()).toMatch(/^vehicles-.*\.parquet$/);
    expect(JSON.stringify(rows)).toContain(SECOND);
  });
});

test("an export that was stopped is not an error", async () => {
  await using open = await openPage(browser, app.httpAddress, { fragment: "#service" });
  const { page } = open;
  // Never answered.
  await page.route("**/Export", () => {});

  await page.click("button:text-is('Export')");
  await page.click("button:text-is('Stop')");
  await page.waitForSelector("text=Stopped.");

  expect(await page.locator("[role=alert]").count()).toBe(0);
});

test("the figures are those of the service, and change while the page is open", async () => {
  await using fresh = await startTestApp();
  await using open = await openPage(browser, fresh.httpAddress, { fragment: "#service" });
  const { page } = open;
  await waitForRow(page, "Decoded", "0");

  await lookUp(fresh.httpAddress, [FIRST, FIRST, SECOND, FIRST]);

  await waitForRow(page, "Decoded", "2");
  await waitForRow(page, "Fresh", "2");
  expect(await page.innerText(".tile:has-text('Answered from the cache') .value")).toBe("50.0 %");
  expect(await page.innerText(".calls tbody tr")).toMatch(/^Lookup\s+OK\s+[\d.]+\s+4$/);
  expect(await page.locator(".plot canvas").count()).toBe(4);
  expect(open.complaints).toEqual([]);
});

test("the page reads the figures again only when it has them", async () => {
  await using open = await openPage(browser, app.httpAddress, { hasOwnClock: true });
  const { page } = open;
  const held: Route[] = [];
  await page.route("**/metrics", (route) => void held.push(route));
  await page.click("#tab-service");
  await expect.poll(() => held.length).toBe(1);

  await page.clock.runFor(20_000);
  const meanwhile = held.length;
  await held[0]?.continue();
  await page.waitForSelector(".calls");
  const perSecond = await page.innerText(".calls tbody td >> nth=1");
  await page.clock.runFor(3_000);
  await expect.poll(() => held.length).toBe(2);

  expect(meanwhile).toBe(1);
  expect(perSecond).toBe("–");
});

test("when the service has stopped, the page says that its figures are old", async () => {
  await using open = await openPage(browser, app.httpAddress, { fragment: "#service" });
  await open.page.waitForSelector(".plot canvas");

  await open.page.route("**/metrics", (route) => route.abort());

  await open.page.waitForSelector("[role=alert]");
  expect(await open.page.innerText("[role=alert]")).toMatch(/^The service does not answer/);
});

test("with tokens, each part is shown by the scopes of the token, which is kept in memory only", async () => {
  await using guarded = await serveWithTokens(["remove", "export"]);
  await using open = await openPage(browser, guarded.app.httpAddress, { fragment: "#service" });
  const { page } = open;
  const partsWith = async (token: string): Promise<string[]> => {
    await page.waitForSelector("[name=token]:focus");
    await page.keyboard.type(token);
    await page.keyboard.press("Enter");
    await page.waitForSelector("[name=token]", { state: "detached" });
    return await page.locator(".action > h2").allInnerTexts();
  };
  await page.waitForSelector("text=/^Enter a token to remove/");
  const withoutToken = await page.locator(".action").count();

  const removing = await partsWith("vs_remove");
  const words = await page.innerText(".service > .hint");
  await page.reload();
  const exporting = await partsWith("vs_export");

  expect([withoutToken, removing, exporting]).toEqual([0, ["Remove"], ["Export"]]);
  expect(words).toBe("The token “remove” may not look up vehicles or export the cache.");
});

test("a late status without the token does not hide what the token allows, and the token can be forgotten", async () => {
  await using guarded = await serveWithTokens(["remove"]);
  await using open = await openPage(browser, guarded.app.httpAddress);
  const { page } = open;
  const held: Route[] = [];
  await page.waitForSelector("footer >> text=Version");
  await page.route("**/status", (route) => void held.push(route), { times: 1 });
  await page.click("#tab-service");
  await page.waitForSelector("[name=token]:focus");
  await expect.poll(() => held.length).toBe(1);

  await page.fill("[name=token]", "vs_remove");
  await page.press("[name=token]", "Enter");
  await page.waitForSelector("[name=remove-vin]");
  const late = page.waitForResponse("**/status");
  await held[0]?.continue();
  await late;
  await page.evaluate("new Promise((resolve) => setTimeout(resolve))");
  const isAllowed = await page.isVisible("[name=remove-vin]");
  await page.click("text=Forget the token “remove”");

  await page.waitForSelector("[name=token]");
  expect(isAllowed).toBe(true);
  expect(await page.isVisible("[name=remove-vin]")).toBe(false);
});
