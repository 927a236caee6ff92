import { expect, test } from "vitest";

import { IncompleteRequests } from "../../../src/server/limits/incomplete-requests.ts";

test("an address has room up to its limit, and again for what it gives back", () => {
  const incomplete = new IncompleteRequests({ maxBytesPerAddress: 100, maxBytes: 1000 });

  const taken = [
    incomplete.take("a", 60),
    incomplete.take("a", 41),
    incomplete.take("a", 40),
    incomplete.take("b", 100),
  ];
  incomplete.release("a", 60);
  const again = [incomplete.take("a", 61), incomplete.take("a", 60)];

  expect(taken).toEqual([true, false, true, true]);
  expect(again).toEqual([false, true]);
});

test("all addresses together have room up to the limit for all", () => {
  const incomplete = new IncompleteRequests({ maxBytesPerAddress: 100, maxBytes: 150 });

  const taken = [incomplete.take("a", 100), incomplete.take("b", 51), incomplete.take("b", 50)];
  incomplete.release("a", 100);

  expect(taken).toEqual([true, false, true]);
  expect(incomplete.take("c", 100)).toBe(true);
});
