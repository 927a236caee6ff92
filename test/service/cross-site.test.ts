import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { REBOUND_HOST } from "../support/browser.ts";
import { connectBrowser } from "../support/shared.ts";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { ATTACKS } from "./clients/cross-site-attacks.ts";
import type { ForeignSite } from "./clients/foreign-site.ts";
import { startForeignSite } from "./clients/foreign-site.ts";

const [VIN = ""] = manyVins(1);
const BODY = JSON.stringify({ vin: VIN });
const SERVICE = "vehicle.v1.VehicleService";

/** Ways for a page to make its reader's browser request a URL. Each is the text of a function that takes the URL. */
const READS = {
  "a fetch without CORS": `(url) => fetch(url, { mode: "no-cors" })`,
  "an image": `(url) => document.body.append(Object.assign(document.createElement("img"), { src: url }))`,
  "a link that is followed": `(url) => { location.href = url; }`,
};

let browser: Browser;
let site: ForeignSite;
let page: Page;

beforeAll(async () => {
  site = await startForeignSite();
  browser = await connectBrowser();
});

afterAll(async () => {
  await browser.close();
  await site[Symbol.asyncDispose]();
});

beforeEach(async () => {
  page = await browser.newPage();
});

afterEach(() => page.close());

/** Puts the vehicle into the cache. */
async function fill(app: TestApp): Promise<void> {
  await clientOf(app).lookup({ vin: VIN });
}

/** Whether the vehicle is still in the cache. */
async function isKept(app: TestApp): Promise<boolean> {
  return (await clientOf(app).lookup({ vin: VIN })).cached;
}

/** Tries to remove the vehicle from the page that is open, and waits until the service has answered. */
async function attack(script: string, address: string): Promise<void> {
  const post = `http://${address}/${SERVICE}/Remove`;
  const get = `${post}?connect=v1&encoding=json&message=${encodeURIComponent(BODY)}`;
  const ended = Promise.race([
    page.waitForEvent("requestfinished", (request) => request.url().startsWith(post)),
    page.waitForEvent("requestfailed", (request) => request.url().startsWith(post)),
  ]);
  // It does not matter what the page sees, or whether the browser leaves it.
  await page.evaluate(`(${script})(...${JSON.stringify([post, get, BODY])})`).catch(() => {});
  await ended;
}

/** The answer to a fetch of the page that is open, or "refused". */
async function read(url: string, init: object = {}): Promise<unknown> {
  return page.evaluate(`fetch("${url}", ${JSON.stringify(init)})
    .then(async (response) => [response.status, await response.text()], () => "refused")`);
}

describe("a page of another origin", () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startTestApp();
    await fill(app);
  });

  afterAll(() => app[Symbol.asyncDispose]());

  // One port for each, because both have the same rules.
  describe.each([
    ["crossSiteOrigin", "grpcAddress", Object.keys(ATTACKS)],
    // Requests that browsers send to the same site without a preflight.
    ["sameSiteOrigin", "httpAddress", ["a fetch without CORS, of text/plain", "a form, of text/plain", "a tag img"]],
  ] as const)("(%s, on %s)", (origin, port, attacks) => {
    test.each(attacks)("cannot remove a vehicle by %s", async (name) => {
      await page.goto(site[origin]);

      await attack(ATTACKS[name] ?? "", app[port]);

      expect(await isKept(app)).toBe(true);
    });

    test.each([
      `/${SERVICE}/Lookup?connect=v1&encoding=json&message=${encodeURIComponent(BODY)}`,
      "/export.parquet",
      "/metrics",
    ])("cannot read GET %s, which the service's own page can", async (path) => {
      const url = `http://${app[port]}${path}`;

      await page.goto(`http://${app[port]}/`);
      const own = await read(url);
      await page.goto(site[origin]);
      const foreign = await read(url);

      expect(own).toEqual([200, expect.any(String)]);
      expect(foreign).toBe("refused");
    });

    test.each(Object.entries(READS))("cannot make the service export by %s", async (_name, script) => {
      await page.goto(site[origin]);
      const url = `http://${app[port]}/export.parquet`;
      const answered = page.waitForResponse(url);

      await page.evaluate(`(${script})("${url}")`).catch(() => {});

      expect((await answered).status()).toBe(403);
    });

    test("can remove a vehicle and read an answer when CORS_ORIGINS names it", async () => {
      await using friendly = await startTestApp({ env: { CORS_ORIGINS: site[origin] } });
      await fill(friendly);
      await page.goto(site[origin]);

      const answer = await read(`http://${friendly[port]}/${SERVICE}/Remove`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: BODY,
      });

      expect(answer).toEqual([200, JSON.stringify({ vin: VIN, removed: true })]);
      expect(await isKept(friendly)).toBe(false);
    });
  });
});

describe("a page whose name was made to point at the service", () => {
  const remove = { method: "POST", headers: { "content-type": "application/json" }, body: BODY };

  /** Opens a page under that name, which the service's own address answers. */
  async function rebind(app: TestApp): Promise<string> {
    const origin = `http://${app.httpAddress.replace("127.0.0.1", REBOUND_HOST)}`;
    await page.goto(`${origin}/healthz`);
    return origin;
  }

  test("is refused every request except probes", async () => {
    await using app = await startTestApp();
    await fill(app);
    const origin = await rebind(app);

    const removal = await read(`${origin}/${SERVICE}/Remove`, remove);
    const others = await Promise.all(
      ["/", "/export.parquet", "/metrics", `/${SERVICE}/Lookup`].map((path) => read(origin + path)),
    );
    const probes = await Promise.all(["/healthz", "/readyz?verbose"].map((path) => read(origin + path)));

    expect(removal).toEqual([421, expect.stringContaining("ALLOW_ANONYMOUS=true")]);
    expect(others).toEqual(others.map(() => [421, expect.any(String)]));
    expect(probes).toEqual(probes.map(() => [200, expect.any(String)]));
    expect(await isKept(app)).toBe(true);
  });

  test("can remove a vehicle when anonymous access is allowed", async () => {
    await using app = await startTestApp({ env: { ALLOW_ANONYMOUS: "true" } });
    await fill(app);
    const origin = await rebind(app);

    const removal = await read(`${origin}/${SERVICE}/Remove`, remove);

    expect(removal).toEqual([200, JSON.stringify({ vin: VIN, removed: true })]);
    expect(await isKept(app)).toBe(false);
  });
});
