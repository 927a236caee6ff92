import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../src/access/token.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { manyVins } from "../support/real-vins.ts";
import { connectBrowser } from "../support/shared.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { flawsOf, openPage, SIZES, THEMES } from "./open-page.ts";

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
    const question = await page.innerText("dialog h2");
    await page.click("text=Keep it");
    await page.click("text=Remove …");
    await page.click("text=Remove it");
    await page.waitForSelector(`.action >> text=${FIRST} was removed from the cache.`);
    await page.click("text=Remove …");
    await page.click("text=Remove it");
    await page.waitForSelector(`.action >> text=The cache had no entry for ${FIRST}.`);

    expect(question).toBe(`Remove ${FIRST}?`);
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

test("when the service has stopped, the page says that its figures are old", async () => {
  await using open = await openPage(browser, app.httpAddress, { fragment: "#service" });
  await open.page.waitForSelector(".plot canvas");

  await open.page.route("**/metrics", (route) => route.abort());

  await open.page.waitForSelector("[role=alert]");
  expect(await open.page.innerText("[role=alert]")).toMatch(/^The service does not answer/);
});

test("with tokens, each part is shown by the scopes of the token, which is kept in memory only", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "tokens");
  await writeFile(
    file,
    `${["remove", "export"].map((scope) => `${scope} ${digestOf(`vs_${scope}`)} ${scope}`).join("\n")}\n`,
  );
  await using guarded = await startTestApp({ env: { AUTH_TOKENS_FILE: file } });
  await using open = await openPage(browser, guarded.httpAddress, { fragment: "#service" });
  const { page } = open;
  const partsWith = async (token: string): Promise<string[]> => {
    await page.waitForSelector("[name=token]:focus");
    await page.keyboard.type(token);
    await page.keyboard.press("Enter");
    await page.waitForSelector("[name=token]", { state: "detached" });
    return await page.locator(".action > h2").allInnerTexts();
  };
  await page.waitForSelector("text=/^This service has tokens/");
  const withoutToken = await page.locator(".action").count();
  const flaws = await flawsOf(open);

  const removing = await partsWith("vs_remove");
  const words = await page.innerText(".service > .hint");
  await page.reload();
  const exporting = await partsWith("vs_export");

  expect(flaws).toEqual([]);
  expect([withoutToken, removing, exporting]).toEqual([0, ["Remove"], ["Export"]]);
  expect(words).toBe("The token “remove” does not allow to look vehicles up or to export the cache.");
});

describe.each(THEMES)("in the %s theme", (theme) => {
  test.each(SIZES)("the %s has no flaw that axe finds", async (size) => {
    await using open = await openPage(browser, app.httpAddress, { theme, size, fragment: "#service" });
    await lookUp(app.httpAddress, [FIRST, "wrong"]);
    await open.page.waitForSelector(".calls");

    expect(await flawsOf(open)).toEqual([]);
    await open.page.fill("[name=remove-vin]", SECOND);
    await open.page.click("text=Remove …");
    expect(await flawsOf(open)).toEqual([]);
  });
});
