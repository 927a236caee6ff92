import { expect, test } from "vitest";

import { recent } from "../../../src/server/http/recent.ts";

test("work is shared by all who ask within 100 ms of its beginning, and done anew for those who come later", async () => {
  let nowMs = 5_000;
  let done = 0;
  const ask = recent(
    100,
    () => Promise.resolve(++done),
    () => nowMs,
  );
  const results: number[] = [];

  for (const ms of [0, 99, 1, 99, 1]) {
    nowMs += ms;
    results.push(await ask());
  }

  expect(results).toEqual([1, 1, 2, 2, 3]);
});

test("a failure is shared, too, and forgotten", async () => {
  let nowMs = 0;
  const outcomes = [Promise.reject(new Error("away")), Promise.resolve("here")];
  const ask = recent(
    100,
    () => outcomes.shift() ?? Promise.reject(new Error("asked too often")),
    () => nowMs,
  );

  const failures = await Promise.allSettled([ask(), ask()]);
  nowMs = 100;
  const later = await ask();

  expect(failures.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(later).toBe("here");
});
