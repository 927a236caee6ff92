import { text } from "node:stream/consumers";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Browser, BrowserServer, Page } from "playwright-core";
import { chromium as playwright } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { BatchLookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { readTable } from "../../src/page/many/read-table.ts";
import { preparedRefusal } from "../../src/rpc/describe-error.ts";
import { createPageHandler } from "../../src/server/page.ts";
import { launchBrowserServer } from "../support/browser.ts";
import { manyVins } from "../support/real-vins.ts";
import type { Served } from "../support/serve.ts";
import { serve } from "../support/serve.ts";
import { connectBrowser } from "../support/shared.ts";
import { openPage, paste, readClipboard, stopClock } from "./open-page.ts";

const VINS = manyVins(20_000);
const [FIRST = "", SECOND = "", THIRD = ""] = VINS;

let server: Served;
let browserServer: BrowserServer;
let browser: Browser;
/** The sizes of the batches so far. */
let batches: number[] = [];
/** Each batch waits for this promise after its first answer. */
let gate: Promise<void> | undefined;
/** How many batches are refused because of the rate limit. */
let refusals = 0;

/** The service's answer: SECOND is not decoded, THIRD has a wrong check digit, and all others are clean. */
function answerTo(vin: string, index: number, modelYear = 2014): MessageInitShape<typeof BatchLookupResponseSchema> {
  if (vin !== SECOND) {
    return { index, vin, result: { case: "vehicle", value: vehicleOf(vin, modelYear) } };
  }
  return {
    index,
    vin,
    result: { case: "error", value: { code: Code.NotFound, message: `no source knows ${vin}` } },
    errorInfo: { reason: "VIN_NOT_DECODED", metadata: { text: "7 - not registered" } },
  };
}

function vehicleOf(vin: string, modelYear = 2014) {
  const verdict = vin === THIRD ? { codes: [1], text: "1 - wrong" } : { codes: [0], text: "0 - clean" };
  return { vin, make: "PETERBILT", model: vin === THIRD ? "<i>389</i>" : "579", modelYear: String(modelYear), verdict };
}

beforeAll(async () => {
  server = await serve({
    plain: { "GET /": createPageHandler() },
    handlers: {
      lookup: ({ vin, modelYear }) => vehicleOf(vin, modelYear),
      async *batchLookup({ queries }) {
        batches.push(queries.length);
        if (refusals > 0) {
          refusals--;
          throw preparedRefusal({ reason: "RATE_LIMITED", retryAfterMs: 1_000 });
        }
        for (const [index, { vin, modelYear }] of queries.entries()) {
          yield answerTo(vin, index, modelYear);
          await gate;
        }
      },
    },
  });
  // All pages of a browser share its clipboard, so this file has a browser of its own. Once the shared one answers,
  // Chromium has been unpacked.
  const shared = await connectBrowser();
  await shared.close();
  browserServer = await launchBrowserServer();
  browser = await playwright.connect(browserServer.wsEndpoint());
});

afterEach(() => {
  batches = [];
  gate = undefined;
});

afterAll(async () => {
  await browser.close();
  await browserServer.close();
  await server[Symbol.asyncDispose]();
});

async function start(page: Page, list: string): Promise<void> {
  await page.fill("[name=list]", list);
  await page.click(".report button.primary");
  await page.waitForSelector(".progress");
}

async function waitForProgress(page: Page, words: string): Promise<void> {
  await page.waitForSelector(`.progress h2:text-is("${words}")`);
}

describe.each(["Connect", "gRPC-Web"] as const)("over %s", (protocol) => {
  test("500 pasted rows are reported first, and then looked up; failures are shown", async () => {
    await using open = await openPage(browser, server.address, { protocol, fragment: "#many" });
    const { page } = open;
    const vins = VINS.slice(0, 500);
    await page.fill("[name=list]", ["VIN", ...vins, FIRST, "soon"].join("\n"));
    const report = await page.innerText(".report");
    const asked = batches.length;

    await page.click(".report button.primary");
    await waitForProgress(page, "500 of 500, 1 failed");
    await page.click("text=/^Problems/");

    expect(asked).toBe(0);
    expect(report).toMatch(/^500 VINs in 502 rows[^]*1 row repeats a VIN[^]*1 row has no VIN[^]*soon/);
    expect(await page.locator(".table-rows [role=row]").allInnerTexts()).toEqual([
      expect.stringMatching(new RegExp(`3\\s+${SECOND}\\s+Not registered[^]*Not decoded`)),
      expect.stringMatching(new RegExp(`4\\s+${THIRD}\\s+2014 PETERBILT <i>389</i>[^]*Check digit wrong`)),
      expect.stringMatching(/503\s+soon\s+A VIN has 17 characters[^]*No VIN/i),
    ]);
    expect(open.complaints).toEqual([]);
  });

  test("after a stream breaks half-way, the answers so far are kept and the run continues", async () => {
    await using open = await openPage(browser, server.address, { protocol, fragment: "#many" });
    const { page } = open;
    await page.route("**/BatchLookup", async (route) => {
      const response = await route.fetch();
      const body = await response.body();
      await route.fulfill({ response, body: body.subarray(0, body.length / 2) });
    });

    await start(page, VINS.slice(0, 40).join("\n"));
    await page.waitForSelector("[role=alert]");
    const words = await page.innerText(".progress h2");
    const sentence = await page.innerText("[role=alert]");
    await page.unrouteAll();
    await page.click("text=/^Try \\d+ VINs again/");

    await waitForProgress(page, "40 of 40, 1 failed");
    expect(words).toMatch(/^40 of 40, (1\d|2\d) failed$/);
    expect(sentence).toMatch(/^The connection broke off/);
  });
});

test("20,000 rows are looked up in batches, and only visible rows are drawn", async () => {
  await using open = await openPage(browser, server.address, { fragment: "#many" });
  const { page } = open;

  await page.focus("[name=list]");
  await paste(page, VINS.slice(0, 20_000).join("\n"));
  await page.click(".report button.primary");
  await waitForProgress(page, "20,000 of 20,000, 1 failed");
  await page.click("role=columnheader[name=Line] >> button");
  const first = await page.innerText(".table-rows [role=row] >> nth=0");
  await page.evaluate("document.querySelector('.table').scrollTop = 1e9");
  await page.waitForSelector(`.table-rows a:text-is("${FIRST}")`);

  expect(batches).toEqual([5_000, 5_000, 5_000, 5_000]);
  expect(first).toMatch(new RegExp(`^20,000\\s+${VINS[19_999]}`));
  expect(await page.locator(".table-rows [role=row]").count()).toBeLessThan(100);
  expect(await page.getAttribute(".table", "aria-rowcount")).toBe("20001");
});

test("a run can be stopped, continued, and given another list", async () => {
  await using open = await openPage(browser, server.address, { fragment: "#many" });
  const { page } = open;
  const held = Promise.withResolvers<void>();
  gate = held.promise;
  const vins = [FIRST, ...VINS.slice(100, 150)];
  await start(page, vins.join("\n"));
  await waitForProgress(page, "1 of 51");
  const focused = await page.evaluate("document.activeElement.innerText");

  await page.click("text=Stop");
  const label = await page.innerText(".controls button.primary");
  held.resolve();
  await page.click(".controls button.primary");
  await waitForProgress(page, "51 of 51");
  await page.click("text=Change the list");

  expect(await page.evaluate("document.activeElement.name")).toBe("list");
  expect(focused).toBe("1 of 51");
  expect(label).toBe("Continue with 50 VINs");
  expect(await page.inputValue("[name=list]")).toBe(vins.join("\n"));
});

test("the run waits for the rate limit as long as the service asks", async () => {
  await using open = await openPage(browser, server.address, { fragment: "#many" });
  const { page } = open;
  refusals = 1;

  await start(page, VINS.slice(0, 30).join("\n"));
  const sentence = await page.innerText(".results .waiting");
  await waitForProgress(page, "30 of 30, 1 failed");

  expect(sentence).toMatch(/^The rate limit of the service is reached. The run continues in 1 second\.$/);
  expect(batches).toEqual([30, 30]);
});

test("the download keeps the user's own columns, and a spreadsheet can be pasted", async () => {
  await using open = await openPage(browser, server.address, { fragment: "#many", hasOwnClock: true });
  const { page } = open;
  await start(page, `Unit;VIN;Note\n7;${FIRST};"a; b"\n8;${THIRD};`);
  await waitForProgress(page, "2 of 2");

  const [csv] = await Promise.all([page.waitForEvent("download"), page.click("text=Download CSV")]);
  const [json] = await Promise.all([page.waitForEvent("download"), page.click("text=Download JSON")]);
  await stopClock(page);
  await page.click("text=Copy for a spreadsheet");
  await page.waitForSelector("[data-copied=true]");

  const records = readTable((await text(await csv.createReadStream())).replace("\uFEFF", ""), ",");
  const rows: unknown = JSON.parse(await text(await json.createReadStream()));
  expect(csv.suggestedFilename()).toBe("vehicles.csv");
  expect(records[1]?.cells.slice(0, 6)).toEqual(["7", FIRST, "a; b", "PETERBILT", "579", "2014"]);
  expect(rows).toMatchObject([{ row: { Unit: "7" }, vehicle: { vin: FIRST } }, { row: { Unit: "8" } }]);
  expect((await readClipboard(page)).split("\n")[1]?.split("\t").slice(0, 4)).toEqual([
    "7",
    FIRST,
    "a; b",
    "PETERBILT",
  ]);
});

test("a column of model years is sent with the VINs, and leads to the record of that year; it can be turned off", async () => {
  await using open = await openPage(browser, server.address, { fragment: "#many" });
  const { page } = open;
  const list = `VIN,Year\n${FIRST},2011\n${THIRD},`;

  await page.fill("[name=list]", list);
  await page.uncheck("text=Use “Year” as the model year");
  await page.click(".report button.primary");
  await waitForProgress(page, "2 of 2");
  const without = await page.innerText(".table-rows [role=row] >> nth=0");
  await page.click("text=Change the list");
  await page.check("text=Use “Year” as the model year");
  await page.click(".report button.primary");
  await waitForProgress(page, "2 of 2");
  const rows = await page.locator(".table-rows [role=row]").allInnerTexts();
  await page.click(`.table-rows a:text-is("${FIRST}")`);
  await page.waitForSelector("article h2:has-text('2011')");

  expect(without).toContain("2014 PETERBILT");
  expect(rows).toEqual([expect.stringContaining("2011 PETERBILT"), expect.stringContaining("2014 PETERBILT")]);
  expect(page.url()).toMatch(new RegExp(`#${FIRST}/2011$`));
});

test("a file of any encoding can be chosen or dropped", async () => {
  await using open = await openPage(browser, server.address, { fragment: "#many" });
  const { page } = open;
  const buffer = Buffer.from(`\uFEFFOrt\tVIN\nMünchen\t${FIRST}\n`, "utf16le");

  await page.setInputFiles("input[type=file]", { name: "fleet.txt", mimeType: "text/plain", buffer });
  await page.waitForSelector("text=1 VIN");
  const shown = await page.inputValue("[name=list]");
  await page.setInputFiles("input[type=file]", {
    name: "fleet.xlsx",
    mimeType: "application/zip",
    buffer: Buffer.from("PK\u0003\u0004"),
  });
  await page.waitForSelector("text=Save it as CSV");
  const transfer = await page.evaluateHandle(
    `(() => { const all = new DataTransfer(); all.items.add(new File(["${SECOND}"], "a.txt")); return all; })()`,
  );
  await page.dispatchEvent(".drop", "drop", { dataTransfer: transfer });

  await page.waitForFunction(`document.querySelector("[name=list]").value === "${SECOND}"`);
  expect(shown).toContain("München");
});

test("several VINs pasted into the look-up of one VIN go to the list", async () => {
  await using open = await openPage(browser, server.address);
  await open.page.focus("[name=vin]");

  await paste(open.page, `${FIRST}\n${SECOND}\n${THIRD}`);

  await open.page.waitForSelector("text=3 VINs");
  expect(open.page.url()).toMatch(/#many$/);
  expect(await open.page.isVisible("[name=vin]")).toBe(false);
});

test("arrows change tabs, tabs keep their content, and a row's VIN leads to its record", async () => {
  await using open = await openPage(browser, server.address, { fragment: "#many" });
  const { page } = open;
  await start(page, [FIRST, THIRD].join("\n"));
  await waitForProgress(page, "2 of 2");

  await page.click(`.table-rows a:text-is("${THIRD}")`);
  await page.waitForSelector("h2:has-text('389')");
  await page.focus("#tab-look-up");
  await page.keyboard.press("ArrowRight");

  expect(await page.evaluate("document.activeElement.id")).toBe("tab-many");
  expect(await page.innerText(".progress h2")).toBe("2 of 2");
});
