import { describe, expect, test } from "vitest";
import type { Watched, Watching } from "../../src/server/call-watch.ts";
import { CallWatch } from "../../src/server/call-watch.ts";

/** An answer whose state a test sets, and which records the calls of the watch. */
class ScriptedAnswer implements Watched {
  deadlineAt = Infinity;
  hasArrived = true;
  writtenBytes = 0;
  pendingBytes = 0;
  readonly done: string[] = [];

  expire(): void {
    this.done.push("expire");
  }

  endLate(): void {
    this.done.push("endLate");
  }

  cut(): void {
    this.done.push("cut");
  }
}

interface Harness {
  readonly watch: CallWatch;
  readonly answer: ScriptedAnswer;
  readonly watching: Watching;
  /** Checks the answer at a time, in ms since its start, and returns all calls of the watch so far. */
  readonly lookAt: (ms: number) => string[];
}

/** A watch that never checks by itself, with one answer that it has checked once. */
function setUp(state: Partial<ScriptedAnswer> = {}): Harness {
  let now = 0;
  const watch = new CallWatch({ arrivalTimeoutMs: 1_000, stallTimeoutMs: 500, lookMs: 2 ** 30, now: () => now });
  const answer = Object.assign(new ScriptedAnswer(), state);
  const watching = watch.add(answer);
  const lookAt = (ms: number): string[] => {
    now = ms;
    watch.look();
    return [...answer.done];
  };
  lookAt(0);
  return { watch, answer, watching, lookAt };
}

describe("an answer with a deadline", () => {
  test("expires exactly at its deadline, and only once", () => {
    const { lookAt } = setUp({ deadlineAt: 100 });

    expect([lookAt(99), lookAt(100), lookAt(120)]).toEqual([[], ["expire"], ["expire"]]);
  });

  test("is cut 50 ms after it expired if it has not been sent, even if it expired late", () => {
    const { lookAt } = setUp({ deadlineAt: 100 });

    expect([lookAt(400), lookAt(449), lookAt(450)]).toEqual([["expire"], ["expire"], ["expire", "cut"]]);
  });

  test("is not touched after it has ended", () => {
    const { lookAt, watch, watching } = setUp({ deadlineAt: 100 });
    lookAt(100);

    watch.remove(watching);

    expect(lookAt(1_000)).toEqual(["expire"]);
  });
});

describe("a request", () => {
  test("that has not arrived in time is ended as late, and only once", () => {
    const { lookAt } = setUp({ hasArrived: false });

    expect([lookAt(999), lookAt(1_000), lookAt(1_400)]).toEqual([[], ["endLate"], ["endLate"]]);
  });

  test("that arrives in time is not late", () => {
    const { lookAt, answer } = setUp({ hasArrived: false });
    lookAt(999);

    answer.hasArrived = true;

    expect(lookAt(10_000)).toEqual([]);
  });

  test("gets its full time from the first check, even if that check is late", () => {
    const { lookAt, watch, watching } = setUp();
    watch.remove(watching);
    const late = Object.assign(new ScriptedAnswer(), { hasArrived: false });

    watch.add(late);
    lookAt(5_000);
    lookAt(5_999);
    const before = [...late.done];
    lookAt(6_000);

    expect([before, late.done]).toEqual([[], ["endLate"]]);
  });

  test("whose deadline is before its arrival limit expires", () => {
    const { lookAt } = setUp({ hasArrived: false, deadlineAt: 1_000 });

    expect(lookAt(1_000)).toEqual(["expire"]);
  });
});

describe("a reader", () => {
  test("that does not read for too long is cut off", () => {
    const { lookAt } = setUp({ writtenBytes: 100, pendingBytes: 60 });

    // The client had taken the first 40 bytes before the first check.
    expect([lookAt(499), lookAt(500)]).toEqual([[], ["cut"]]);
  });

  test("that reads a little gets the full time again", () => {
    const { lookAt, answer } = setUp({ writtenBytes: 100, pendingBytes: 60 });
    answer.pendingBytes = 59;
    lookAt(400);

    const before = lookAt(899);

    expect([before, lookAt(900)]).toEqual([[], ["cut"]]);
  });

  test("that reads nothing is not saved by an answer that grows", () => {
    const { lookAt, answer } = setUp({ writtenBytes: 100, pendingBytes: 60 });

    for (let ms = 100; ms <= 500; ms += 100) {
      answer.writtenBytes += 10;
      answer.pendingBytes += 10;
      lookAt(ms);
    }

    expect(answer.done).toEqual(["cut"]);
  });

  test("that has read everything is not cut off while there is nothing to read", () => {
    const { lookAt, answer } = setUp({ writtenBytes: 100, pendingBytes: 0 });

    const idle = lookAt(10_000);
    answer.writtenBytes += 10;
    answer.pendingBytes += 10;
    const soon = lookAt(10_499);

    expect([idle, soon, lookAt(10_500)]).toEqual([[], [], ["cut"]]);
  });
});

test("the other answers are still checked when one ends some of them during its check", () => {
  const { watch, lookAt } = setUp();
  const answers = [1, 2, 3].map(() => Object.assign(new ScriptedAnswer(), { deadlineAt: 10 }));
  const [first, second, third] = answers;
  const [, ofSecond] = answers.map((answer) => watch.add(answer));
  if (first !== undefined && ofSecond !== undefined) {
    first.expire = () => watch.remove(ofSecond);
  }

  lookAt(20);

  expect([second?.done, third?.done]).toEqual([[], ["expire"]]);
});

test("a watch checks by itself while it has answers to watch", async () => {
  const expired = Promise.withResolvers<void>();
  using watch = new CallWatch({ lookMs: 1 });
  const answer = Object.assign(new ScriptedAnswer(), { deadlineAt: 0, expire: () => expired.resolve() });
  watch.add(new ScriptedAnswer());

  watch.add(answer);

  await expect(expired.promise).resolves.toBeUndefined();
});
