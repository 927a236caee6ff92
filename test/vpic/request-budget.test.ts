import { expect, test } from "vitest";

import type { RequestBudget } from "../../src/vpic/request-budget.ts";
import { withRequestBudget } from "../../src/vpic/request-budget.ts";
import { VpicFault } from "../../src/vpic/vpic-fault.ts";
import { never } from "./vins.ts";

const STOP = { signal: never(), whileWaiting: never() };

/** A budget that notes what is done with it. */
class NotingBudget implements RequestBudget {
  readonly available = 1;
  readonly waiting = 0;
  readonly pauses: number[] = [];
  readonly takenWith: AbortSignal[] = [];

  async take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.takenWith.push(signal);
    await Promise.resolve();
  }

  pauseFor(durationMs: number): void {
    this.pauses.push(durationMs);
  }
}

function failWith(failure: Error): () => Promise<void> {
  return async () => await Promise.reject(failure);
}

test("every call takes from the budget, which may be given up while waiting", async () => {
  const budget = new NotingBudget();
  const call = withRequestBudget(budget, async () => await Promise.resolve());

  await call("x", STOP);

  expect(budget.takenWith).toEqual([STOP.whileWaiting]);
});

test("a call that gets nothing from the budget is not made", async () => {
  const call = withRequestBudget(new NotingBudget(), failWith(new Error("made")));

  const made = call("x", { ...STOP, whileWaiting: AbortSignal.abort(new Error("gone")) });

  await expect(made).rejects.toThrow("gone");
});

test.each([
  [new VpicFault("status", "busy", { status: 429, retryAfterMs: 2_000 }), [2_000]],
  [new VpicFault("status", "busy", { status: 429 }), []],
  [new Error("gone"), []],
])("after %s the budget pauses for %j ms", async (failure, expected) => {
  const budget = new NotingBudget();

  await expect(withRequestBudget(budget, failWith(failure))("x", STOP)).rejects.toBe(failure);

  expect(budget.pauses).toEqual(expected);
});
