import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FleetBudget } from "../../src/vpic/fleet-budget.ts";
import { never } from "./vins.ts";

const RATE = { requestsPerSecond: 4, burst: 8 };

/** A fleet of two processes whose answers the test supplies. */
class ScriptedFleet {
  readonly size = 2;
  readonly answers: (number | Error)[] = [];
  taken = 0;
  drained = 0;

  async takeRequest(): Promise<number> {
    this.taken++;
    const answer = this.answers.shift() ?? 0;
    if (typeof answer !== "number") {
      throw answer;
    }
    return answer;
  }

  async drainBudget(): Promise<void> {
    this.drained++;
  }
}

let fleet: ScriptedFleet;
let budget: FleetBudget;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  fleet = new ScriptedFleet();
  budget = new FleetBudget(fleet, RATE);
});

afterEach(() => {
  vi.useRealTimers();
});

describe("the budget of a fleet", () => {
  test("is asked for one request at a time, in order", async () => {
    const order: number[] = [];
    await Promise.all([1, 2, 3].map((number) => budget.take(never()).then(() => order.push(number))));

    expect([order, fleet.taken, budget.waiting]).toEqual([[1, 2, 3], 3, 0]);
  });

  test("goes to the next caller when the first one leaves", async () => {
    fleet.answers.push(new Error("away"));
    await budget.take(never());
    fleet.answers.push(new Error("away"));
    const caller = new AbortController();
    const first = budget.take(caller.signal);
    const second = budget.take(never());

    caller.abort(new Error("gone"));

    await expect(first).rejects.toThrow("gone");
    await expect(second).resolves.toBeUndefined();
  });

  test("is this process's share without the database, one request at first", async () => {
    fleet.answers.push(new Error("away"), new Error("away"));
    let taken = 0;
    const takes = [1, 2].map(() => budget.take(never()).then(() => taken++));
    await takes[0];
    const atFirst = taken;

    await vi.advanceTimersByTimeAsync(1_000 / (RATE.requestsPerSecond / fleet.size) - 50);
    const before = taken;
    await vi.advanceTimersByTimeAsync(100);
    await Promise.all(takes);

    expect([atFirst, before, taken]).toEqual([1, 1, 2]);
  });

  test("has no further requests when the database comes and goes", async () => {
    fleet.answers.push(new Error("away"), 0, new Error("away"));
    let taken = 0;
    const takes = [1, 2, 3].map(() => budget.take(never()).then(() => taken++));

    await vi.advanceTimersByTimeAsync(1_000 / (RATE.requestsPerSecond / fleet.size) - 50);
    const before = taken;
    await vi.advanceTimersByTimeAsync(100);
    await Promise.all(takes);

    expect([before, taken]).toEqual([2, 3]);
  });

  test("has no burst without the database, even after a time without requests", async () => {
    fleet.answers.push(new Error("away"));
    await budget.take(never());
    await vi.advanceTimersByTimeAsync(60_000);
    fleet.answers.push(new Error("away"), new Error("away"));
    let taken = 0;
    const takes = [1, 2].map(() => budget.take(never()).then(() => taken++));

    await vi.advanceTimersByTimeAsync(50);
    const before = taken;
    await vi.advanceTimersByTimeAsync(1_000);
    await Promise.all(takes);

    expect([before, taken]).toEqual([1, 2]);
  });

  test("is not asked during a pause, and drained after it", async () => {
    budget.pauseFor(2_000);
    const take = budget.take(never());
    await vi.advanceTimersByTimeAsync(1_990);
    const during = [budget.available, fleet.drained, fleet.taken];

    await vi.advanceTimersByTimeAsync(20);
    await take;

    expect([...during, fleet.drained, fleet.taken]).toEqual([0, 0, 0, 1, 1]);
  });
});
