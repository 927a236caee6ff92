import { expect, test } from "vitest";
import { inWindow } from "../../src/vehicle/window.ts";

test("yields results as they come, whatever their order", async () => {
  const works = [1, 2, 3].map(() => Promise.withResolvers<void>());

  const results = inWindow([0, 1, 2], 3, async (item) => {
    await works[item]?.promise;
    return item;
  });
  const first = results.next();
  works[2]?.resolve();
  const second = first.then(() => results.next());
  await first;
  works[0]?.resolve();
  await second;
  works[1]?.resolve();
  const third = await results.next();

  expect([(await first).value, (await second).value, third.value]).toEqual([2, 0, 1]);
  expect(await results.next()).toEqual({ done: true, value: undefined });
});

test("has never more under way than its size", async () => {
  let underWay = 0;
  let most = 0;

  const results = await Array.fromAsync(
    inWindow(Array(100).keys(), 7, async (item) => {
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      underWay--;
      return item;
    }),
  );

  expect(results).toHaveLength(100);
  expect(most).toBe(7);
});

test("throws what the work throws", async () => {
  const results = inWindow([1], 1, () => Promise.reject(new Error("broken")));

  await expect(results.next()).rejects.toThrow("broken");
});

test("of nothing yields nothing", async () => {
  expect(await Array.fromAsync(inWindow([], 5, () => Promise.resolve(1)))).toEqual([]);
});
