import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

const DAY_MS = 86_400_000;
const [CACHED = "", NEW = ""] = manyVins(2);

let now: number;
let app: TestApp;

beforeEach(async () => {
  now = Date.UTC(2026, 10, 22);
  app = await startTestApp({ now: () => now });
  await lookUp(CACHED);
});

afterEach(() => app[Symbol.asyncDispose]());

async function lookUp(vin: string): Promise<{ cached: boolean; stale: boolean; decodedAt: number }> {
  const { cached, stale, decodeTime } = await clientOf(app).lookup({ vin });
  return { cached, stale, decodedAt: Number(decodeTime?.seconds) * 1_000 };
}

describe("row 20: when the clock is set", () => {
  test("a year ahead, a cached VIN is decoded again, but only once", async () => {
    now += 366 * DAY_MS;

    const answers = [await lookUp(CACHED), await lookUp(CACHED), await lookUp(CACHED)];

    expect(answers.map(({ cached, stale }) => [cached, stale])).toEqual([
      [false, false],
      [true, false],
      [true, false],
    ]);
    expect(app.vpic.vins).toEqual([CACHED, CACHED]);
  });

  test("a day back, a cached VIN is answered without vPIC, and a new one is decoded once", async () => {
    now -= DAY_MS;

    const answers = [await lookUp(CACHED), await lookUp(NEW), await lookUp(NEW)];

    expect(answers.map(({ cached, stale }) => [cached, stale])).toEqual([
      [true, false],
      [false, false],
      [true, false],
    ]);
    expect(app.vpic.vins).toEqual([CACHED, NEW]);
  });

  test.each([366, -1])("by %i days, a Remove still drops a decode in flight", async (days) => {
    const answer = Promise.withResolvers<undefined>();
    app.vpic.respondWith({ kind: "answer", until: answer.promise });
    const decoding = lookUp(NEW);
    await expect.poll(() => app.vpic.vins).toContain(NEW);

    now += days * DAY_MS;
    await clientOf(app).remove({ vin: NEW });
    answer.resolve(undefined);
    await decoding;

    app.vpic.respondWith();
    expect(await lookUp(NEW)).toMatchObject({ cached: false });
  });
});
