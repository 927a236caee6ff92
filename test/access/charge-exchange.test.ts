import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ChargeExchange, Charges } from "../../src/access/charge-exchange.ts";
import { shareCharges } from "../../src/access/charge-exchange.ts";
import { RateLimiter } from "../../src/access/rate-limiter.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Processes that exchange charges. */
class Processes {
  readonly published: Charges[] = [];
  readonly #receivers: ((charges: Charges) => void)[] = [];

  /** The limiter of a new process. */
  limiter(maxCallers?: number): RateLimiter {
    const limiter = new RateLimiter({ perSecond: 1, burst: 10, isShared: true, ...(maxCallers && { maxCallers }) });
    shareCharges({ limiter }, this.#exchange(this.#receivers.length));
    return limiter;
  }

  #exchange(own: number): ChargeExchange {
    return {
      publish: (charges) => {
        this.published.push(charges);
        for (const [index, receive] of this.#receivers.entries()) {
          if (index !== own) {
            receive(charges);
          }
        }
      },
      subscribe: (receive) => this.#receivers.push(receive),
    };
  }
}

/** How many calls are admitted one after the other. */
function admitted(limiter: RateLimiter, caller: string): number {
  let count = 0;
  while (limiter.take(caller) === 0) {
    count++;
  }
  return count;
}

test("a caller that has used its burst in one process has none left in another", () => {
  const processes = new Processes();
  const [one, other] = [processes.limiter(), processes.limiter()];

  const inOne = admitted(one, "a");
  vi.advanceTimersByTime(100);

  expect([inOne, admitted(other, "a"), admitted(other, "b")]).toEqual([10, 0, 10]);
});

test("calls and batches of both processes count together", () => {
  const processes = new Processes();
  const [one, other] = [processes.limiter(), processes.limiter()];

  one.take("a");
  one.charge("a", 3);
  other.take("a");
  vi.advanceTimersByTime(100);

  expect([admitted(one, "a"), admitted(other, "a")]).toEqual([5, 5]);
});

test("a charge is sent once, and never back to the process that it came from", () => {
  const processes = new Processes();
  const [one, other] = [processes.limiter(), processes.limiter()];

  one.take("a");
  vi.advanceTimersByTime(1_000);

  expect(processes.published).toEqual([{ limiter: [["a", 1]] }]);
  expect(other.takeCharges()).toEqual([]);
});

test("charges of too many callers are not kept", () => {
  const limiter = new RateLimiter({ perSecond: 1, burst: 10, isShared: true, maxCallers: 2 });

  for (const caller of ["a", "b", "c", "a"]) {
    limiter.take(caller);
  }

  expect(limiter.takeCharges()).toEqual([
    ["a", 2],
    ["b", 1],
  ]);
});
