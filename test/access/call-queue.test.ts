import { describe, expect, test } from "vitest";

import { CallQueue } from "../../src/access/call-queue.ts";

/** An event loop that is moved by hand: calls come, and then its turn ends. */
class ModelledLoop {
  nowMs = 0;
  readonly begun: string[] = [];
  readonly queue: CallQueue;
  #atEnd: (() => void)[] = [];

  constructor(turnMs: number) {
    this.queue = new CallQueue({ turnMs, now: () => this.nowMs, atEndOfTurn: (run) => this.#atEnd.push(run) });
  }

  /** A call that takes so long once it is begun; says whether it was taken. */
  offer(name: string, takesMs: number): boolean {
    return this.queue.offer(() => {
      this.begun.push(name);
      this.nowMs += takesMs;
    });
  }

  /** So many calls; gives how many were taken. */
  offerMany(count: number, takesMs: number): number {
    return Array.from({ length: count }, (_, index) => this.offer(String(index), takesMs)).filter(Boolean).length;
  }

  /** What is begun in the rest of this turn. */
  endTurn(): string[] {
    const before = this.begun.length;
    const [due, next]: (() => void)[][] = [this.#atEnd, []];
    this.#atEnd = next ?? [];
    for (const run of due ?? []) {
      run();
    }
    return this.begun.slice(before);
  }
}

describe("waiting calls", () => {
  test("begin at the end of the turn, in the order in which they came", () => {
    const loop = new ModelledLoop(6);
    loop.offer("a", 1);
    loop.offer("b", 1);

    const [before, after] = [loop.begun.length, loop.endTurn()];

    expect([before, after]).toEqual([0, ["a", "b"]]);
  });

  test("begin until the turn has taken 6 ms, and the rest in the next turns", () => {
    const loop = new ModelledLoop(6);
    loop.offerMany(8, 2);

    const turns = [loop.endTurn(), loop.endTurn(), loop.endTurn(), loop.endTurn()];

    expect(turns).toEqual([["0", "1", "2"], ["3", "4", "5"], ["6", "7"], []]);
  });

  test("have less of a turn in which much else was done, but half of its time at least", () => {
    const loop = new ModelledLoop(6);
    loop.offerMany(8, 2);
    loop.nowMs += 3;

    const short = loop.endTurn();
    loop.nowMs += 100;
    const shorter = loop.endTurn();

    expect([short, shorter]).toEqual([
      ["0", "1"],
      ["2", "3"],
    ]);
  });

  test("begin one at least, however long the first takes", () => {
    const loop = new ModelledLoop(6);
    loop.offer("a", 50);
    loop.offer("b", 50);

    const turns = [loop.endTurn(), loop.endTurn()];

    expect(turns).toEqual([["a"], ["b"]]);
  });

  test("that come while a turn ends wait for the next, and do not lengthen this one", () => {
    const loop = new ModelledLoop(6);
    loop.queue.offer(() => {
      loop.nowMs += 5;
      loop.offer("late", 1);
    });
    loop.offerMany(3, 2);

    const turns = [loop.endTurn(), loop.endTurn()];

    expect(turns).toEqual([["0"], ["1", "2", "late"]]);
  });
});

describe("room", () => {
  test("is for as many as a turn begins, once that is known", () => {
    const loop = new ModelledLoop(6);
    const taken = Array.from({ length: 12 }, () => {
      const count = loop.offerMany(100, 2);
      loop.endTurn();
      return count;
    });

    const inFour = taken.slice(-4).reduce((sum, count) => sum + count, 0);

    // A turn begins three, and whether one more would fit is tried now and then.
    expect([taken[0], inFour, Math.max(...taken.slice(-4))]).toEqual([8, 12, 5]);
  });

  test("is halved, not lost, by a turn in which one call takes very long", () => {
    const loop = new ModelledLoop(6);
    for (let turn = 0; turn < 12; turn++) {
      loop.offerMany(100, 0.4);
      loop.endTurn();
    }
    while (loop.endTurn().length > 0) {
      // Until nobody waits.
    }
    loop.offer("long", 100);
    loop.offer("next", 0.4);
    loop.endTurn();
    loop.endTurn();

    const after = loop.offerMany(100, 0.4);

    // A turn began 15.
    expect(after).toBe(7);
  });

  test("grows with each turn that was not used up though some were refused, the faster the more there are", () => {
    const loop = new ModelledLoop(6);

    const taken = Array.from({ length: 4 }, () => {
      const count = loop.offerMany(100, 0);
      loop.endTurn();
      return count;
    });
    const few = loop.offerMany(1, 0);
    loop.endTurn();
    const [then, after] = [loop.offerMany(100, 0), loop.endTurn().length];

    expect([taken, few, then, after]).toEqual([[8, 9, 11, 15], 1, 23, 23]);
  });

  test("is for 128 at most, so that calls which take longer do not wait behind more", () => {
    const loop = new ModelledLoop(6);
    for (let turn = 0; turn < 20; turn++) {
      loop.offerMany(1_000, 0);
      loop.endTurn();
    }

    const taken = loop.offerMany(1_000, 0.3);

    expect(taken).toBe(128);
  });

  test("is there for one at least", () => {
    const loop = new ModelledLoop(6);
    loop.offerMany(8, 1000);
    for (let turn = 0; turn < 8; turn++) {
      loop.endTurn();
    }

    const isTaken = loop.offer("a", 1);

    expect(isTaken).toBe(true);
  });
});

test("three times what can be answered is answered at four fifths of the peak or more, and refused within a turn", () => {
  const [answerMs, refusalMs, perMs] = [0.8, 0.06, 3 / 0.8];
  const loop = new ModelledLoop(10);
  const turnsMs: number[] = [];
  let due = 0;

  while (loop.nowMs < 1_000) {
    const startedAt = loop.nowMs;
    for (; due < startedAt * perMs; due++) {
      loop.nowMs += loop.offer("call", answerMs) ? 0 : refusalMs;
    }
    loop.endTurn();
    loop.nowMs += 0.1;
    turnsMs.push(loop.nowMs - startedAt);
  }

  expect(loop.begun.length / (loop.nowMs / answerMs)).toBeGreaterThan(0.8);
  expect(Math.max(...turnsMs)).toBeLessThan(14);
});
