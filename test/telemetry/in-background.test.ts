import { expect, test } from "vitest";
import { inBackground } from "../../src/telemetry/in-background.ts";

test("work runs in the background at most once in a period, and its latest result is returned at once", async () => {
  let nowMs = 0;
  let done = 0;
  const latest = inBackground(
    100,
    () => Promise.resolve(++done),
    () => nowMs,
  );
  const results: (number | undefined)[] = [];

  for (const ms of [0, 50, 100, 101, 250]) {
    nowMs = ms;
    results.push(latest());
    await Promise.resolve();
  }

  expect(results).toEqual([undefined, 1, 1, 2, 2]);
  expect(done).toBe(3);
});
