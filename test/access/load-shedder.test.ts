import { describe, expect, test } from "vitest";
import { LoadShedder } from "../../src/access/load-shedder.ts";

const LOOKS_PER_SECOND = 50;

/** An event loop that is moved by hand: time passes, turns end, and it is looked at. */
class ModelledLoop {
  readonly changes: boolean[] = [];
  readonly shedder: LoadShedder;
  nowMs = 0;
  readonly #onEndOfTurn: (() => void)[] = [];

  constructor() {
    this.shedder = new LoadShedder({
      maxTurnMs: 5,
      onChange: (isShedding) => this.changes.push(isShedding),
      now: () => this.nowMs,
      atEndOfTurn: (run) => this.#onEndOfTurn.push(run),
    });
  }

  /** A turn with so many calls, each answered within so long; gives how many were refused. */
  turn(calls: number, msPerAnswer: number, msPerRefusal = 0): number {
    let refused = 0;
    for (let call = 0; call < calls; call++) {
      const isRefused = this.shedder.refuses();
      refused += isRefused ? 1 : 0;
      this.nowMs += isRefused ? msPerRefusal : msPerAnswer;
    }
    for (const run of this.#onEndOfTurn.splice(0)) {
      run();
    }
    return refused;
  }

  /** Has it be late with many calls for so long that overload begins. */
  overload(): void {
    for (let look = 0; look < 3; look++) {
      this.turn(100, 0);
      this.shedder.observe(100);
    }
  }
}

describe("load shedding", () => {
  test("refuses nobody while the event loop is in time, however many come and however long a turn takes", () => {
    const loop = new ModelledLoop();

    const refused = Array.from({ length: 20 }, () => {
      const inTurn = loop.turn(5_000, 1);
      loop.shedder.observe(5);
      return inTurn;
    });

    expect(Math.max(...refused)).toBe(0);
  });

  test("refuses nobody for a single pause, nor for a burst that is soon answered", () => {
    const loop = new ModelledLoop();

    const refused = [300, 0, 100, 100, 0, 300, 0].map((lagMs) => {
      const inTurn = loop.turn(1_000, 1);
      loop.shedder.observe(lagMs);
      return inTurn;
    });

    expect(Math.max(...refused)).toBe(0);
    expect(loop.changes).toEqual([]);
  });

  test("refuses nobody when few come, however late the event loop is", () => {
    const loop = new ModelledLoop();

    for (let look = 0; look < 100; look++) {
      loop.turn(8, 1_000);
      loop.shedder.observe(1_000);
    }

    expect(loop.changes).toEqual([]);
  });

  test("lets calls in for 5 ms of each turn once the loop was late for a quarter of a second, and refuses the rest", () => {
    const loop = new ModelledLoop();
    loop.overload();

    const refused = [loop.turn(100, 1), loop.turn(100, 1), loop.turn(5, 1), loop.turn(1, 100)];

    expect(refused).toEqual([95, 95, 0, 0]);
    expect(loop.changes).toEqual([true]);
  });

  test("tells the share that was refused within the latest second", () => {
    const loop = new ModelledLoop();
    loop.overload();

    for (let look = 0; look < LOOKS_PER_SECOND; look++) {
      loop.turn(20, 1);
      loop.shedder.observe(0);
    }

    expect(loop.shedder.refusedShare).toBe(0.75);
  });

  test("ends after a second in which nobody was refused, and not before", () => {
    const loop = new ModelledLoop();
    loop.overload();
    loop.turn(6, 1);
    const look = (): void => {
      loop.turn(5, 1);
      loop.shedder.observe(0);
    };

    const changes = Array.from({ length: 2 * LOOKS_PER_SECOND }, () => {
      look();
      return loop.changes.length;
    });

    expect(changes.indexOf(2)).toBe(2 * LOOKS_PER_SECOND - 1);
    expect(loop.changes).toEqual([true, false]);
    expect(loop.turn(100, 1)).toBe(0);
  });

  test("answers a modelled double load at two thirds of the peak or more, none of it late", () => {
    const loop = new ModelledLoop();
    loop.overload();
    const turnsMs: number[] = [];
    let calls = 0;
    let refused = 0;

    // An answer takes 0.1 ms, a refusal a tenth of it, and 20 calls come each ms.
    const from = loop.nowMs;
    for (let turnMs = 1; loop.nowMs < from + 1_000;) {
      const startedAt = loop.nowMs;
      const arrived = Math.ceil(20 * turnMs);
      calls += arrived;
      refused += loop.turn(arrived, 0.1, 0.01);
      turnMs = loop.nowMs - startedAt;
      turnsMs.push(turnMs);
    }

    expect(Math.max(...turnsMs)).toBeLessThan(7);
    expect(calls - refused).toBeGreaterThan(6_667);
  });
});
