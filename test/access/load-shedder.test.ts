import { describe, expect, test } from "vitest";
import { LoadShedder } from "../../src/access/load-shedder.ts";

const LOOKS_PER_SECOND = 50;

/** An event loop that is moved by hand: turns end, and it is looked at. In each turn the queue has room for five. */
class ModelledLoop {
  readonly changes: boolean[] = [];
  readonly shedder: LoadShedder;
  begun = 0;
  #room = 0;

  constructor() {
    this.shedder = new LoadShedder({ queue: this, onChange: (isShedding) => this.changes.push(isShedding) });
  }

  get isFull(): boolean {
    return this.#room <= 0;
  }

  offer(): boolean {
    return this.#room-- > 0;
  }

  /** A turn with so many calls; gives how many were refused. */
  turn(calls: number, isWelcome = (): boolean => true): number {
    this.#room = 5;
    let refused = 0;
    for (let call = 0; call < calls; call++) {
      refused += this.shedder.admits(() => this.begun++, isWelcome) ? 0 : 1;
    }
    return refused;
  }

  /** Has it be late with many calls for so long that overload begins. */
  overload(): void {
    for (let look = 0; look < 3; look++) {
      this.turn(100);
      this.shedder.observe(100);
    }
  }
}

describe("load shedding", () => {
  test("refuses nobody while the event loop is in time, however many come and however long a turn takes", () => {
    const loop = new ModelledLoop();

    const refused = Array.from({ length: 20 }, () => {
      const inTurn = loop.turn(5_000);
      loop.shedder.observe(20);
      return inTurn;
    });

    expect(Math.max(...refused)).toBe(0);
  });

  test("refuses nobody for a single pause, nor for a burst that is soon answered", () => {
    const loop = new ModelledLoop();

    const refused = [300, 20, 100, 100, 0, 300, 0].map((lagMs) => {
      const inTurn = loop.turn(1_000);
      loop.shedder.observe(lagMs);
      return inTurn;
    });

    expect(Math.max(...refused)).toBe(0);
    expect(loop.changes).toEqual([]);
  });

  test("refuses nobody when few come, however late the event loop is", () => {
    const loop = new ModelledLoop();

    for (let look = 0; look < 100; look++) {
      loop.turn(8);
      loop.shedder.observe(1_000);
    }

    expect(loop.changes).toEqual([]);
  });

  test("refuses those for whom the queue has no room once the loop was late for a quarter of a second", () => {
    const loop = new ModelledLoop();
    loop.overload();

    const refused = [loop.turn(100), loop.turn(100), loop.turn(5), loop.turn(1)];

    expect(refused).toEqual([95, 95, 0, 0]);
    expect(loop.changes).toEqual([true]);
  });

  test("begins a call at once without overload, and leaves it to the queue under it", () => {
    const loop = new ModelledLoop();
    loop.turn(10);
    const before = loop.begun;
    loop.overload();
    const [atOverload, refused] = [loop.begun, loop.turn(3)];

    expect([before, refused, loop.begun - atOverload]).toEqual([10, 0, 0]);
  });

  test("gives those no place who would be refused anyway, and asks who they are under overload only", () => {
    const loop = new ModelledLoop();
    let asked = 0;
    const isWelcome = (): boolean => ++asked > 95;

    const before = loop.turn(100, isWelcome);
    const askedBefore = asked;
    loop.overload();
    const refused = loop.turn(100, isWelcome);

    expect([before, askedBefore, refused, asked]).toEqual([0, 0, 95, 100]);
  });

  test("asks nobody who they are for whom there is no room", () => {
    const loop = new ModelledLoop();
    let asked = 0;
    loop.overload();

    const refused = loop.turn(100, () => ++asked > 0);

    expect([refused, asked]).toEqual([95, 5]);
  });

  test("tells the share that was refused within the latest second", () => {
    const loop = new ModelledLoop();
    loop.overload();

    for (let look = 0; look < LOOKS_PER_SECOND; look++) {
      loop.turn(20);
      loop.shedder.observe(0);
    }

    expect(loop.shedder.refusedShare).toBe(0.75);
  });

  test("ends after a second in which nobody was refused, and not before", () => {
    const loop = new ModelledLoop();
    loop.overload();
    loop.turn(6);
    const look = (): void => {
      loop.turn(5);
      loop.shedder.observe(0);
    };

    const changes = Array.from({ length: 2 * LOOKS_PER_SECOND }, () => {
      look();
      return loop.changes.length;
    });

    expect(changes.indexOf(2)).toBe(2 * LOOKS_PER_SECOND - 1);
    expect(loop.changes).toEqual([true, false]);
    expect(loop.turn(100)).toBe(0);
  });

  test("ends though somebody goes on who is refused anyway, unless that is as much as an overload", () => {
    const changes = [1, 20].map((strangersInTurn) => {
      const loop = new ModelledLoop();
      loop.overload();
      for (let look = 0; look < 3 * LOOKS_PER_SECOND; look++) {
        loop.turn(strangersInTurn, () => false);
        // However many are answered.
        loop.turn(5);
        loop.turn(5);
        loop.shedder.observe(0);
      }
      return loop.changes;
    });

    expect(changes).toEqual([[true, false], [true]]);
  });
});
