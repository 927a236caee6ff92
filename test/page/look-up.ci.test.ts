import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { manyVins } from "../support/real-vins.ts";
import { connectBrowser } from "../support/shared.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { UNKNOWN_FACTS } from "../support/fake-vpic-answers.ts";
import { enterVin, openPage, paste, readClipboard, stopClock } from "./open-page.ts";

const vins = manyVins(200);
/** How long a button says that it has copied. */
const SHOWN_MS = 2_000;
const run = promisify(execFile);
let app: TestApp;
let browser: Browser;

beforeAll(async () => {
  app = await startTestApp({ env: { VPIC_REQUESTS_PER_SECOND: "1000" } });
  browser = await connectBrowser();
});

afterEach(() => app.vpic.respondWith());

afterAll(async () => {
  await browser.close();
  await app[Symbol.asyncDispose]();
});

/** A VIN that no other test uses. */
function aVin(): string {
  const vin = vins.pop();
  if (vin === undefined) {
    throw new Error("there are no more VINs");
  }
  return vin;
}

async function headlineOf(page: Page): Promise<string> {
  await page.waitForSelector("article h2");
  return await page.innerText("article h2");
}

describe.each(["Connect", "gRPC-Web"] as const)("over %s", (protocol) => {
  test("a vehicle is shown with its VIN in groups, its source and its record", async () => {
    await using open = await openPage(browser, app.httpAddress, { protocol });
    const vin = aVin();

    await enterVin(open.page, vin);

    expect(await headlineOf(open.page)).toBe("2014 PETERBILT 579 · Truck-Tractor");
    expect(await open.page.locator(".vin-parts dd").allInnerTexts()).toEqual([
      vin.slice(0, 3),
      vin.slice(3, 9),
      vin.slice(9),
    ]);
    expect(await open.page.innerText(".origin")).toContain("vPIC, just now");
    expect(await open.page.innerText(".badge")).toBe("Decoded clean");
    expect(await open.page.innerText(".record")).toMatch(/Displacement\s+12\.9\sliters/);
    expect(open.page.url()).toMatch(new RegExp(`/#${vin}$`));
    expect(open.complaints).toEqual([]);
  });

  test("an error of the service is one sentence", async () => {
    await using open = await openPage(browser, app.httpAddress, { protocol });
    const vin = aVin();
    app.vpic.setFacts(vin, UNKNOWN_FACTS);

    await enterVin(open.page, vin);

    await open.page.waitForSelector("[role=alert]");
    expect(await open.page.innerText("[role=alert]")).toMatch(/^No source knows make, model or year of .*\.$/);
  });

  test("when vPIC is down and nothing is cached, the sentence says so", async () => {
    await using open = await openPage(browser, app.httpAddress, { protocol });
    app.vpic.respondWith({ kind: "status", status: 404 });

    await enterVin(open.page, aVin());

    await open.page.waitForSelector("[role=alert]");
    expect(await open.page.innerText("[role=alert]")).toMatch(/Nothing is cached for this VIN/);
  });
});

test("the latest look-up wins, even if an earlier one is answered later", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const [slow, quick] = [aVin(), aVin()];
  const gate = Promise.withResolvers<void>();
  app.vpic.setFacts(slow, { Model: "SLOW" });
  app.vpic.setFacts(quick, { Model: "QUICK" });
  app.vpic.respondWith(({ vins: [vin] }) =>
    vin === slow ? { kind: "answer", until: gate.promise } : { kind: "answer" },
  );
  await enterVin(open.page, slow);
  await open.page.waitForSelector(".waiting");

  await enterVin(open.page, quick);
  const first = await headlineOf(open.page);
  gate.resolve();
  const answered = await fetch(`http://${app.httpAddress}/vehicle.v1.VehicleService/Lookup`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ vin: slow }),
  });

  expect(await answered.json()).toMatchObject({ model: "SLOW" });
  expect(first).toContain("QUICK");
  expect(await headlineOf(open.page)).toBe(first);
});

test("during a look-up, the button is disabled and a line names the source; pressing twice shows one record", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const gate = Promise.withResolvers<void>();
  let asked = 0;
  await open.page.route("**/Lookup", async (route) => {
    asked++;
    await gate.promise;
    await route.continue();
  });
  const vin = aVin();

  await open.page.fill("[name=vin]", vin);
  await open.page.dblclick(".vin-form button.primary", { force: true });
  await open.page.waitForSelector(".waiting");
  const isDisabled = await open.page.isDisabled(".vin-form button.primary");
  const words = await open.page.innerText(".waiting");
  gate.resolve();
  await headlineOf(open.page);

  expect([isDisabled, words]).toEqual([true, `Asking vPIC about ${vin}\u00a0…`]);
  expect(asked).toBe(1);
  expect(await open.page.locator("article h2").count()).toBe(1);
  expect(await open.page.locator(".record dt", { hasText: "Manufacturer" }).count()).toBe(2);
});

test("faults are shown while someone types, and one press enters the VIN that was meant", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const { page } = open;

  await page.fill("[name=vin]", "1XPWD4O");
  const early = await page.innerText(".check");
  await page.fill("[name=vin]", "1XPWD4OX1ED2153O7");
  const canPress = await page.isEnabled(".vin-form button.primary");
  await page.click("text=Use 1XPWD40X1ED215307");

  expect(early).toBe('"O" at position 7 is not allowed in a VIN; 0 is likely meant.');
  expect(canPress).toBe(false);
  expect(await page.inputValue("[name=vin]")).toBe("1XPWD40X1ED215307");
  expect(await page.innerText(".check")).toBe("17 characters, and the check digit is right.");
});

test("a VIN pasted anywhere is tidied and looked up", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const vin = aVin();
  await open.page.focus("#tab-look-up");

  await paste(open.page, ` ${vin.slice(0, 9)}-${vin.slice(9)}\n`);

  await headlineOf(open.page);
  expect(await open.page.inputValue("[name=vin]")).toBe(vin);
});

test("the model year is sent, checked, and kept in the address", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const vin = aVin();
  await open.page.fill("[name=year]", "19");
  const fault = await open.page.innerText(".check");

  await open.page.fill("[name=year]", "2011");
  await enterVin(open.page, vin);

  expect(fault).toMatch(/^A model year is a number from 1980/);
  expect(await headlineOf(open.page)).toMatch(/^2011 /);
  expect(open.page.url()).toMatch(new RegExp(`#${vin}/2011$`));
});

test("a model year is sent for its own vehicle, and not for the next one that is pasted", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const { page } = open;
  const [first, second, third] = [aVin(), aVin(), aVin()];
  await page.fill("[name=year]", "2011");
  await page.focus("#tab-look-up");
  await paste(page, first);
  await page.waitForURL(`**/#${first}/2011`);
  await headlineOf(page);

  await page.focus("#tab-look-up");
  await paste(page, second);
  await page.waitForURL(`**/#${second}`);
  await headlineOf(page);
  const year = await page.inputValue("[name=year]");
  await page.fill("[name=year]", "2012");
  await page.focus("#tab-look-up");
  await paste(page, third);

  await page.waitForURL(`**/#${third}/2012`);
  expect(year).toBe("");
});

test("a suggested VIN and a second question keep the model year", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const { page } = open;
  const [vin, suggested] = [aVin(), aVin()];
  app.vpic.setFacts(vin, { ErrorCode: "2", ErrorText: "2 - VIN corrected", SuggestedVIN: suggested });
  await page.goto(`http://${app.httpAddress}/#${vin}/2011`);
  await headlineOf(page);
  await page.click(".vin-form button.primary");
  await page.waitForSelector("text=from the cache");

  await page.fill("[name=year]", "2012");
  await page.click("text=Ask vPIC again");
  await page.waitForSelector("text=vPIC, just now");
  const asked = page.url();
  await page.click(`text=Look up ${suggested}`);
  await page.waitForURL(`**/#${suggested}/2011`);

  expect(asked).toMatch(new RegExp(`#${vin}/2011$`));
});

test("while a look-up waits, the same VIN can be asked with another model year", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const { page } = open;
  const vin = aVin();
  await page.route("**/Lookup", () => {}, { times: 1 });
  await enterVin(page, vin);
  await page.waitForSelector(".waiting");

  await page.fill("[name=year]", "2011");
  await page.click(".vin-form button.primary");

  expect(await headlineOf(page)).toMatch(/^2011 /);
});

test("a changed address is shown, even if its VIN is wrong", async () => {
  await using open = await openPage(browser, app.httpAddress, { fragment: `#${aVin()}` });
  const { page } = open;
  await headlineOf(page);

  await page.evaluate("location.hash = '#1XPWD4O'");

  await page.waitForSelector('text=/^"O" at position 7/');
  expect(await page.inputValue("[name=vin]")).toBe("1XPWD4O");
});

test("the focus stays on the button that was pressed by keyboard", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const { page } = open;
  await page.fill("[name=vin]", aVin());
  await page.focus(".vin-form button.primary");

  await page.keyboard.press("Enter");
  await headlineOf(page);

  expect(await page.evaluate("document.activeElement.innerText")).toBe("Look up");
});

test("the badge shows vPIC's text, its suggestion is a button, and its remark leads to the year", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const [vin, suggested] = [aVin(), aVin()];
  app.vpic.setFacts(vin, {
    ErrorCode: "2",
    ErrorText: "2 - VIN corrected, error in one position",
    SuggestedVIN: suggested,
    AdditionalErrorText: "The Model Year decoded for this VIN may be incorrect. If you know the Model year, enter it.",
  });
  await enterVin(open.page, vin);
  await headlineOf(open.page);

  await open.page.click("summary:has(.badge)");
  const words = await open.page.innerText(".verdict-text");
  await open.page.click("text=Enter the model year");
  const focused = await open.page.evaluate("document.activeElement.name");
  await open.page.click(`text=Look up ${suggested}`);
  await open.page.waitForURL(`**/#${suggested}`);

  expect(words).toMatch(/^VIN corrected, error in one position[^]*may be incorrect/);
  expect(focused).toBe("year");
});

test("a cached answer says so, and the sources can be asked again", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const vin = aVin();
  await enterVin(open.page, vin);
  await headlineOf(open.page);
  await enterVin(open.page, vin);
  await open.page.waitForSelector("text=from the cache");
  app.vpic.setFacts(vin, { Model: "RENAMED" });

  await open.page.click("text=Ask vPIC again");

  await open.page.waitForSelector("article h2:has-text('RENAMED')");
  expect(await open.page.innerText(".origin")).toContain("vPIC, just now");
});

test("the record can be filtered, and ids are collapsed", async () => {
  await using open = await openPage(browser, app.httpAddress);
  await enterVin(open.page, aVin());
  await headlineOf(open.page);
  const isIdShown = await open.page.isVisible("dd:has-text('444')");

  await open.page.fill("[name=filter]", "fuel");

  expect(isIdShown).toBe(false);
  expect(await open.page.locator(".group dd").allInnerTexts()).toEqual(["Diesel"]);
});

test("each copied command works", async () => {
  await using open = await openPage(browser, app.httpAddress, { hasOwnClock: true });
  const vin = aVin();
  await enterVin(open.page, vin);
  await headlineOf(open.page);
  await stopClock(open.page);
  const copy = async (label: string): Promise<string> => {
    await open.page.click(`.copies button:has-text("${label}") >> nth=0`);
    await open.page.waitForSelector("[data-copied=true]");
    const text = await readClipboard(open.page);
    await open.page.clock.runFor(SHOWN_MS);
    await open.page.waitForSelector("[data-copied=true]", { state: "detached" });
    return text;
  };

  const json = await copy("JSON");
  const curl = await run("sh", ["-c", await copy("curl")]);
  const buf = await run("sh", ["-c", await copy("buf curl")], {
    env: { ...process.env, PATH: `node_modules/.bin:${process.env["PATH"]}` },
  });

  expect(JSON.parse(json)).toMatchObject({ vin, make: "PETERBILT", attributes: { EngineCylinders: "6" } });
  expect(JSON.parse(curl.stdout)).toMatchObject({ vin, attributes: { EngineCylinders: "6" } });
  expect(JSON.parse(buf.stdout)).toMatchObject({ vin, attributes: { EngineCylinders: "6" } });
  expect(await copy("grpcurl")).toMatch(
    /^grpcurl -plaintext -d '.*' 127\.0\.0\.1:\d+ vehicle\.v1\.VehicleService\/Lookup$/,
  );
});

test("a proxy's page, a lost network and an answer that breaks off each have their own sentence", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const { page } = open;
  const sentenceFor = async (fulfil: Parameters<Page["route"]>[1]): Promise<string> => {
    await page.unrouteAll();
    await page.route("**/Lookup", fulfil);
    await enterVin(page, aVin());
    await page.waitForSelector(".waiting", { state: "detached" });
    return await page.innerText("[role=alert]");
  };

  const proxy = await sentenceFor((route) => route.fulfill({ status: 502, contentType: "text/html", body: "<h1>502" }));
  const network = await sentenceFor((route) => route.abort("connectionrefused"));
  const broken = await sentenceFor((route) =>
    route.fulfill({ status: 200, contentType: "application/proto", body: "\x0a" }),
  );
  await page.unrouteAll();
  await page.click("text=Try again");

  expect(await headlineOf(page)).toMatch(/PETERBILT/);
  expect(proxy).toMatch(/^A proxy answered instead of the service/);
  expect(network).toMatch(/^The service cannot be reached/);
  expect(broken).toMatch(/^The connection broke off/);
});

test("no request names the VIN in its address, and the log has it only as the VIN of the call", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const urls: string[] = [];
  open.page.on("request", (request) => urls.push(request.url()));
  const vin = aVin();

  await open.page.goto(`http://${app.httpAddress}/#${vin}`);
  await open.page.reload();
  await headlineOf(open.page);

  expect(urls.map((url) => url.replace(/#.*/, "")).filter((url) => url.includes(vin))).toEqual([]);
  expect(
    app.logger.lines.map(({ message, fields }) => JSON.stringify([message, { ...fields, vin: "" }])),
  ).not.toContainEqual(expect.stringContaining(vin));
});

test("everything can be reached by keyboard: tabs with arrows, everything else in order", async () => {
  await using open = await openPage(browser, app.httpAddress);
  const focused = (): Promise<string> =>
    open.page.evaluate("document.activeElement.id || document.activeElement.innerText.trim()");

  await open.page.focus("#tab-look-up");
  await open.page.keyboard.press("Tab");
  const first = await focused();
  await open.page.keyboard.press("Tab");
  const second = await focused();
  await open.page.keyboard.press("Tab");
  const third = await focused();

  expect([first, second, third]).toEqual(["vin", "year", expect.stringContaining("Peterbilt truck")]);
});
