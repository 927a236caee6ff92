import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Placed } from "../../src/server/call-queue.ts";
import { CallQueue, Line } from "../../src/server/call-queue.ts";

/** Waits for one turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Waits for enough turns of the event loop to begin all calls of a test. */
async function turns(count = 50): Promise<void> {
  for (let index = 0; index < count; index++) {
    await turn();
  }
}

function noting(name: string, begun: string[], work: () => void = () => {}): Placed {
  return {
    seat: -1,
    hasBegun: false,
    begin() {
      begun.push(name);
      work();
    },
    makeWay() {
      begun.push(`${name} made way`);
    },
  };
}

describe("calls", () => {
  test("that wait begin round robin by connection, and in order within a connection", async () => {
    const queue = new CallQueue({ turnMs: 0 });
    const [burst, honest, third] = [new Line(queue), new Line(queue), new Line(queue)];
    const begun: string[] = [];

    for (const name of ["b1", "b2", "b3", "b4"]) {
      burst.push(noting(name, begun));
    }
    honest.push(noting("h1", begun));
    honest.push(noting("h2", begun));
    third.push(noting("t1", begun));
    await turns();

    expect(begun).toEqual(["b1", "b2", "h1", "t1", "b3", "h2", "b4"]);
  });

  test("begin at once while none wait", async () => {
    const queue = new CallQueue();
    const begun: string[] = [];

    new Line(queue).push(noting("a", begun));
    new Line(queue).push(noting("b", begun));

    expect(begun).toEqual(["a", "b"]);
  });

  test("begin until the turn is used up; the others begin after the event loop has run", async () => {
    let now = 0;
    const queue = new CallQueue({ turnMs: 8, now: () => now });
    const line = new Line(queue);
    const order: string[] = [];
    const work = (): void => {
      now += 3;
      setImmediate(() => order.push("event loop"));
    };

    for (let index = 0; index < 7; index++) {
      line.push(noting("call", order, work));
    }
    await turns();

    const three = ["call", "call", "call"];
    const loops = three.map(() => "event loop");
    expect(order).toEqual([...three, ...loops, ...three, ...loops, "call", "event loop"]);
  });

  test("wait for the next turn when the work of earlier calls has used up this one", async () => {
    let now = 0;
    const queue = new CallQueue({ turnMs: 8, now: () => now });
    const line = new Line(queue);
    const order: string[] = [];
    const work = async (): Promise<void> => {
      await Promise.resolve();
      now += 10;
    };

    line.push(noting("a", order, () => void work()));
    await Promise.resolve();
    await Promise.resolve();
    line.push(noting("b", order));
    setImmediate(() => order.push("event loop"));
    await turns();

    expect(order).toEqual(["a", "event loop", "b"]);
  });

  test("that wait begin a few at a time, so that their work counts towards the turn too", async () => {
    let now = 0;
    const queue = new CallQueue({ turnMs: 8, now: () => now });
    const line = new Line(queue);
    const begun: string[] = [];
    line.push(noting("first", begun, () => (now += 10)));

    for (let index = 0; index < 100; index++) {
      line.push(noting("call", begun));
    }
    await turn();
    await turn();

    expect(begun.length).toBeGreaterThan(1);
    expect(begun.length).toBeLessThan(40);
  });

  test("of other connections get their turn during a burst", async () => {
    let now = 0;
    const queue = new CallQueue({ turnMs: 8, now: () => now });
    const [burst, honest] = [new Line(queue), new Line(queue)];
    const begun: string[] = [];
    for (let index = 0; index < 100; index++) {
      burst.push(noting("burst", begun, () => (now += 3)));
    }

    await turn();
    await turn();
    honest.push(noting("honest", begun));
    await turns();

    expect(begun).toHaveLength(101);
    expect(begun.indexOf("honest")).toBeLessThan(12);
  });
});

describe("a line", () => {
  test("runs at most the allowed number of calls, and starts the next one when one is done", async () => {
    const line = new Line(new CallQueue(), 2);
    const begun: string[] = [];
    for (const name of ["a", "b", "c", "d"]) {
      line.push(noting(name, begun));
    }

    await turns();
    const atFirst = [...begun];
    line.done();
    await turns();
    const afterOne = [...begun];
    line.done();
    line.done();
    line.done();
    await turns();

    expect([atFirst, afterOne, begun]).toEqual([
      ["a", "b"],
      ["a", "b", "c"],
      ["a", "b", "c", "d"],
    ]);
  });

  test("that is full does not block other lines", async () => {
    const queue = new CallQueue();
    const [full, other] = [new Line(queue, 1), new Line(queue, 1)];
    const begun: string[] = [];
    full.push(noting("a", begun));
    full.push(noting("b", begun));
    await turns();

    other.push(noting("c", begun));
    await turns();

    expect(begun).toEqual(["a", "c"]);
  });
});

describe("the slots", () => {
  /** A call that gives its slot back when it has to make way. */
  function placed(name: string, line: Line, told: string[]): Placed {
    const call = {
      seat: -1,
      hasBegun: false,
      begin() {
        call.hasBegun = true;
      },
      makeWay() {
        told.push(`${name} made way`);
        line.leave(call);
      },
    };
    return call;
  }

  test("are limited in number, and free again after leave", () => {
    const queue = new CallQueue({ maxCalls: 2 });
    const line = new Line(queue);
    const calls = ["a", "b", "c"].map((name) => placed(name, line, []));
    const [first = placed("a", line, [])] = calls;

    const entered = calls.map((call) => line.enter(call));
    line.leave(first);
    const again = line.enter(first);

    expect([entered, again]).toEqual([[true, true, false], true]);
    expect([queue.inFlight, queue.refused]).toEqual([2, 1]);
  });

  test("are 2,048 by default", () => {
    const line = new Line(new CallQueue());

    const entered = Array.from({ length: 2_049 }, () => line.enter(placed("a", line, [])));

    expect(entered.filter(Boolean)).toHaveLength(2_048);
  });

  test("go from the connection with the most to one with fewer, while the requests are still arriving", () => {
    const queue = new CallQueue({ maxCalls: 4 });
    const [burst, honest] = [new Line(queue), new Line(queue)];
    const told: string[] = [];
    for (const name of ["b1", "b2", "b3", "b4"]) {
      burst.enter(placed(name, burst, told));
    }

    const entered = honest.enter(placed("h1", honest, told));

    expect([entered, told, burst.places, honest.places]).toEqual([true, ["b1 made way"], 3, 1]);
    expect([queue.inFlight, queue.refused]).toEqual([4, 1]);
  });

  test("stay with calls that have begun", async () => {
    const queue = new CallQueue({ maxCalls: 3 });
    const [busy, other] = [new Line(queue), new Line(queue)];
    const told: string[] = [];
    for (const name of ["b1", "b2", "b3"]) {
      const call = placed(name, busy, told);
      busy.enter(call);
      busy.push(call);
    }
    await turns();

    const entered = other.enter(placed("o1", other, told));

    expect([entered, told]).toEqual([false, []]);
  });
});

/** A call that uses the queue as the transports do: it enters, waits, begins, and is closed once, at any time. */
class BookedCall implements Placed {
  readonly line: Line;
  seat = -1;
  isClosed = false;
  hasBegun = false;

  constructor(line: Line) {
    this.line = line;
    line.enter(this);
  }

  get hasPlace(): boolean {
    return this.seat >= 0;
  }

  arrive(): void {
    if (this.hasPlace) {
      this.line.push(this);
    }
  }

  begin(): void {
    if (this.isClosed) {
      this.line.done();
    } else {
      this.hasBegun = true;
    }
  }

  makeWay(): void {
    this.line.leave(this);
  }

  close(): void {
    if (this.isClosed) {
      return;
    }
    this.isClosed = true;
    this.line.leave(this);
    if (this.hasBegun) {
      this.line.done();
    }
  }
}

test("no slot or turn is lost or given twice, in any order of arrivals, starts and ends", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("open" as const), line: fc.nat(2), arrives: fc.boolean() }),
    fc.record({ do: fc.constant("close" as const), call: fc.nat() }),
    fc.record({ do: fc.constant("wait" as const) }),
  );

  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const queue = new CallQueue({ maxCalls: 8 });
      const lines = [new Line(queue, 1), new Line(queue, 3), new Line(queue)];
      const calls: BookedCall[] = [];
      const begunOf = (line: Line): number =>
        calls.filter((call) => call.line === line && call.hasBegun && !call.isClosed).length;
      for (const each of steps) {
        if (each.do === "open") {
          const call = new BookedCall(lines[each.line] ?? new Line(queue));
          calls.push(call);
          if (each.arrives) {
            call.arrive();
          }
        } else if (each.do === "close") {
          calls[each.call % Math.max(1, calls.length)]?.close();
        } else {
          await turns(3);
        }
        expect(queue.inFlight).toBe(calls.filter((call) => call.hasPlace && !call.isClosed).length);
        expect(queue.inFlight).toBeLessThanOrEqual(8);
        expect(begunOf(lines[0] ?? new Line(queue))).toBeLessThanOrEqual(1);
        expect(begunOf(lines[1] ?? new Line(queue))).toBeLessThanOrEqual(3);
      }
      for (const call of calls) {
        call.close();
      }
      await turns(10);

      expect(queue.inFlight).toBe(0);
    }),
    { seed: 1 },
  );
});
