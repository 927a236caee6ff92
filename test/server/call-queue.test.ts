import { setImmediate as turn } from "node:timers/promises";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CallQueue } from "../../src/server/call-queue.ts";
import type { LimitedCall, Waiting } from "../../src/server/line.ts";
import { Line } from "../../src/server/line.ts";

/** Waits for enough turns of the event loop to begin all calls of a test. */
async function turns(count = 50): Promise<void> {
  for (let index = 0; index < count; index++) {
    await turn();
  }
}

function noting(name: string, begun: string[], work: () => void = () => {}): Waiting {
  return {
    seat: -1,
    isOver: false,
    begin() {
      begun.push(name);
      work();
    },
  };
}

describe("calls", () => {
  test("that wait begin round robin by connection, four together, and in order within a connection", async () => {
    const queue = new CallQueue({ turnMs: 0 });
    const [burst, honest, third] = [new Line(queue), new Line(queue), new Line(queue)];
    const begun: string[] = [];

    const names = Array.from({ length: 6 }, (_, index) => `b${index + 1}`);
    names.forEach((name) => burst.push(noting(name, begun)));
    honest.push(noting("h1", begun));
    honest.push(noting("h2", begun));
    third.push(noting("t1", begun));
    await turns();

    expect(begun).toEqual(["b1", "b2", "b3", "b4", "b5", "h1", "h2", "t1", "b6"]);
  });

  test("begin until the turn is used up; the others begin after the event loop has run", async () => {
    let now = 0;
    const queue = new CallQueue({ turnMs: 8, now: () => now });
    const order: string[] = [];
    const work = (): void => {
      now += 3;
      setImmediate(() => order.push("event loop"));
    };

    for (let index = 0; index < 7; index++) {
      new Line(queue).push(noting("call", order, work));
    }
    await turns();

    const three = ["call", "call", "call"];
    const loops = three.map(() => "event loop");
    expect(order).toEqual([...three, ...loops, ...three, ...loops, "call", "event loop"]);
  });

  test("that wait begin in limited numbers, even when the clock stands still", async () => {
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

  test("above the limit of their connection begin when running ones end, and take no time before", async () => {
    let reads = 0;
    const queue = new CallQueue({ turnMs: 0, now: () => reads++ });
    const [other, line] = [new Line(queue), new Line(queue, 1)];
    const begun: string[] = [];

    other.push(noting("other", begun));
    line.push(noting("first", begun));
    line.push(noting("second", begun));
    await turns();
    const [begunBefore, readsBefore] = [begun.slice(), reads];
    await turns();
    const readsAfter = reads;
    line.done();
    await turns();

    expect(begunBefore).toEqual(["other", "first"]);
    expect(readsAfter).toBe(readsBefore);
    expect(begun).toEqual(["other", "first", "second"]);
  });

  test("of many connections that have one each begin together", async () => {
    const { queue } = busyQueue({ maxCalls: 40 });
    const calls = Array.from({ length: 40 }, () => new BookedCall(new Line(queue)));
    calls.forEach((call) => call.arrive());

    await turn();
    await turn();

    expect(calls.filter(({ hasBegun }) => hasBegun)).toHaveLength(40);
  });
});

/** A queue whose time for this turn of the event loop is used up. */
function busyQueue({ maxCalls }: { readonly maxCalls: number }): { readonly queue: CallQueue; readonly line: Line } {
  let now = 0;
  const queue = new CallQueue({ maxCalls, now: () => now });
  const line = new Line(queue);
  line.push(noting("first", [], () => (now += 10)));
  return { queue, line };
}

let clock = 0;

/** A call that uses the queue as the transports do: it enters, arrives, begins, and is closed once, at any time. */
class BookedCall implements LimitedCall {
  readonly line: Line;
  readonly startedAt = clock++;
  seat = -1;
  hasArrived = false;
  hasBegun = false;
  hasBegunWhenOver = false;
  isRefused = false;
  isClosed = false;
  refusals = 0;

  constructor(line: Line) {
    this.line = line;
    line.enterOrRefuse(this);
  }

  get hasSlot(): boolean {
    return this.seat >= 0;
  }

  get isOver(): boolean {
    return this.isClosed || this.refusals > 0;
  }

  arrive(): void {
    this.hasArrived = true;
    if (!this.isRefused) {
      this.line.push(this);
    }
  }

  begin(): void {
    this.hasBegunWhenOver = this.isOver;
    this.hasBegun = true;
  }

  loseSlot(): void {
    this.isRefused = true;
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

    expect(calls.filter(({ hasSlot }) => hasSlot)).toHaveLength(2_048);
  });

  test("move from the connection with the most to one with at least two fewer: from a request that is arriving, or else the latest", () => {
    const { queue, line: burst } = busyQueue({ maxCalls: 5 });
    const calls = Array.from({ length: 5 }, () => new BookedCall(burst));
    calls.filter((_call, index) => index !== 2).forEach((call) => call.arrive());
    calls[0]?.close();

    const others = Array.from({ length: 3 }, () => new BookedCall(new Line(queue)));
    const late = new BookedCall(burst);
    const oneFewer = new BookedCall(others[0]?.line ?? burst);

    expect(calls.map(({ hasSlot }) => hasSlot)).toEqual([false, true, false, true, false]);
    expect(others.map(({ hasSlot }) => hasSlot)).toEqual([true, true, true]);
    expect([late.hasSlot, oneFewer.hasSlot]).toEqual([false, false]);
    expect([queue.inFlight, queue.refused]).toEqual([5, 4]);
  });

  test("move also from a connection that runs work without a slot", () => {
    const queue = new CallQueue({ maxCalls: 2 });
    const line = new Line(queue);
    line.push(noting("first", []));
    line.push(noting("second", []));
    const calls = [new BookedCall(line), new BookedCall(line)];

    const other = new BookedCall(new Line(queue));

    expect([...calls, other].map(({ hasSlot }) => hasSlot)).toEqual([false, true, true]);
  });

  test("stay with calls that have begun; another connection with at least two more gives up one", async () => {
    const queue = new CallQueue({ maxCalls: 5 });
    const [busy, second] = [new Line(queue), new Line(queue, 1)];
    const lines = [busy, busy, busy, second, second];
    const calls = lines.map((line) => new BookedCall(line));
    calls.forEach((call) => call.arrive());
    await turns();

    const others = [new BookedCall(new Line(queue)), new BookedCall(new Line(queue))];

    expect([...calls, ...others].map(({ hasSlot }) => hasSlot)).toEqual([true, true, true, true, false, true, false]);
  });
});

describe("refusals", () => {
  test("take no look at calls that have begun, of which there may be many", async () => {
    const queue = new CallQueue({ maxCalls: 9 });
    const busy = new Line(queue);
    const calls = Array.from({ length: 9 }, () => new BookedCall(busy));
    calls.forEach((call) => call.arrive());
    await turns();
    let looks = 0;
    const look = (): boolean => looks++ >= 0;
    calls.forEach((call) => Object.defineProperty(call, "hasBegun", { get: look }));

    const late = new BookedCall(new Line(queue));

    expect([late.isRefused, looks]).toEqual([true, 0]);
  });

  class NotedCall extends BookedCall {
    readonly #order: string[];

    constructor(line: Line, order: string[]) {
      super(line);
      this.#order = order;
    }

    override begin(): void {
      super.begin();
      this.#order.push("begin");
    }

    override refuse(): void {
      super.refuse();
      this.#order.push("refuse");
    }
  }

  /** Nine calls that wait to begin, and others that wait to be refused. `order` records what happens to them. */
  function waiting(refusals: number): { readonly calls: readonly BookedCall[]; readonly order: string[] } {
    const { line } = busyQueue({ maxCalls: 9 });
    const order: string[] = [];
    const calls = Array.from({ length: 9 + refusals }, () => new NotedCall(line, order));
    calls.forEach((call) => call.arrive());
    return { calls, order };
  }

  const eight = Array.from({ length: 8 }, () => "begin");

  test("come once for every eight calls that begin, and without a break when no more wait to begin", async () => {
    const { order } = waiting(4);

    await turns();

    const rest = ["refuse", "refuse", "refuse"];
    expect(order).toEqual([...eight, "refuse", "begin", ...rest]);
  });

  test("of many connections come no faster", async () => {
    const { queue } = busyQueue({ maxCalls: 9 });
    const order: string[] = [];
    const calls = Array.from({ length: 18 }, () => new NotedCall(new Line(queue), order));
    calls.forEach((call) => call.arrive());

    await turns();

    const rest = Array.from({ length: 8 }, () => "refuse");
    expect(order).toEqual([...eight, "refuse", "begin", ...rest]);
  });

  test("go round robin by connection", async () => {
    const { queue, line: burst } = busyQueue({ maxCalls: 0 });
    const honest = new Line(queue);
    const calls = Array.from({ length: 60 }, () => new BookedCall(burst));
    const other = new BookedCall(honest);

    await turn();
    await turn();

    expect([calls.every(({ isOver }) => isOver), other.isOver]).toEqual([false, true]);
  });

  test("of clients that have gone are skipped", async () => {
    const { calls, order } = waiting(4);
    calls.slice(9, 12).forEach((call) => call.close());

    await turns();

    expect(order).toEqual([...eight, "refuse", "begin"]);
  });
});

test("no slot, turn or refusal is lost or given twice, in any order of arrivals, starts and ends", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("open" as const), line: fc.nat(2), arrives: fc.boolean() }),
    fc.record({ do: fc.constant("close" as const), call: fc.nat() }),
    fc.record({ do: fc.constant("wait" as const) }),
  );

  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const queue = new CallQueue({ maxCalls: 3, turnMs: 0 });
      const limits = [1, 3, Infinity];
      const lines = limits.map((limit) => new Line(queue, limit));
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
        const holders = calls.filter((call) => call.hasSlot && !call.isClosed);
        const spare = holders.filter(({ hasBegun }) => !hasBegun);
        expect(queue.inFlight).toBe(holders.length);
        expect(lines.reduce((sum, line) => sum + line.spareSlots, 0)).toBe(spare.length);
        expect(queue.inFlight).toBeLessThanOrEqual(3);
        expect(lines.filter((line, index) => begunOf(line) > (limits[index] ?? 0))).toEqual([]);
      }
      await turns(100);
      const hasRoom = (line: Line): boolean => begunOf(line) < (limits[lines.indexOf(line)] ?? 0);
      const ready = calls.filter((call) => call.hasSlot && call.hasArrived && !call.isClosed && !call.hasBegun);
      expect(ready.filter(({ line }) => hasRoom(line))).toEqual([]);
      const refused = calls.filter(({ isRefused }) => isRefused);
      expect(refused.filter(({ hasBegun }) => hasBegun)).toEqual([]);
      expect(refused.filter(({ isClosed, refusals }) => !isClosed && refusals === 0)).toEqual([]);
      calls.forEach((call) => call.close());
      await turns(100);

      expect(calls.filter(({ refusals, hasBegunWhenOver }) => refusals > 1 || hasBegunWhenOver)).toEqual([]);
      expect(queue.inFlight).toBe(0);
    }),
    { seed: 1 },
  );
});
