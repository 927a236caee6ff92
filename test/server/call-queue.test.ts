import { setImmediate as turn } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Placed, Waiting } from "../../src/server/call-queue.ts";
import { CallQueue, Line } from "../../src/server/call-queue.ts";

/** Waits for enough turns of the event loop to begin all calls of a test. */
async function turns(count = 50): Promise<void> {
  for (let index = 0; index < count; index++) {
    await turn();
  }
}

function noting(name: string, begun: string[], work: () => void = () => {}): Waiting {
  return {
    begin() {
      begun.push(name);
      work();
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

  test("that wait begin a few at a time, so that their work counts towards the turn too", async () => {
    let now = 0;
    const queue = new CallQueue({ turnMs: 8, now: () => now });
    const line = new Line(queue);
    const begun: string[] = [];
    line.push(noting("first", begun, () => (now += 10)));

    for (let index = 0; index < 400; index++) {
      line.push(noting("call", begun));
    }
    await turn();
    await turn();

    expect(begun.length).toBeGreaterThan(1);
    expect(begun.length).toBeLessThan(120);
  });
});

/** A call that uses the queue as the transports do: it enters, waits, begins, and is closed once, at any time. */
class BookedCall implements Placed {
  readonly line: Line;
  seat = -1;
  isClosed = false;
  hasBegun = false;
  isRefused = false;
  refusals = 0;

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

  refuse(): void {
    this.refusals++;
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

describe("the slots", () => {
  test("are 2,048 by default", () => {
    const line = new Line(new CallQueue());

    const calls = Array.from({ length: 2_049 }, () => new BookedCall(line));

    expect(calls.filter(({ hasPlace }) => hasPlace)).toHaveLength(2_048);
  });

  test("go from the connection with the most to one with fewer, while the requests are still arriving", () => {
    const queue = new CallQueue({ maxCalls: 4 });
    const burst = new Line(queue);
    const calls = Array.from({ length: 4 }, () => new BookedCall(burst));

    const honest = new BookedCall(new Line(queue));
    const late = new BookedCall(burst);

    expect([...calls, honest, late].map(({ hasPlace }) => hasPlace)).toEqual([true, true, true, false, true, false]);
    expect([queue.inFlight, queue.refused]).toEqual([4, 2]);
  });

  test("stay with calls that have begun", async () => {
    const queue = new CallQueue({ maxCalls: 3 });
    const busy = new Line(queue);
    const calls = Array.from({ length: 3 }, () => new BookedCall(busy));
    calls.forEach((call) => call.arrive());
    await turns();

    const other = new BookedCall(new Line(queue));

    expect([...calls, other].map(({ hasPlace }) => hasPlace)).toEqual([true, true, true, false]);
  });
});

test("while calls wait, one is refused for every two that begin; the other refusals follow", async () => {
  let now = 0;
  const queue = new CallQueue({ maxCalls: 4, now: () => now });
  const line = new Line(queue);
  const order: string[] = [];
  class NotedCall extends BookedCall {
    override begin(): void {
      order.push("begin");
    }

    override refuse(): void {
      order.push("refuse");
    }
  }
  const useUpTurn = (): void => void (now += 10);
  line.push(noting("first", order, useUpTurn));

  const calls = Array.from({ length: 8 }, () => new NotedCall(line));
  calls.forEach((call) => call.arrive());
  await turns();

  expect(order).toEqual(["first", "begin", "begin", "refuse", "begin", "begin", "refuse", "refuse", "refuse"]);
});

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
      for (const { isRefused, hasBegun, refusals } of calls) {
        expect([refusals, isRefused && hasBegun]).toEqual([isRefused ? 1 : 0, false]);
      }
    }),
    { seed: 1 },
  );
});
