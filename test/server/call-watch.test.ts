import { expect, test } from "vitest";
import type { Watched } from "../../src/server/call-watch.ts";
import { CallWatch } from "../../src/server/call-watch.ts";

/** An answer whose state a test sets, and which records what the watch does, and when. */
class ScriptedAnswer implements Watched {
  deadlineAt = Infinity;
  hasArrived = true;
  writtenBytes = 0;
  pendingBytes = 0;
  readonly done: string[] = [];
  readonly #clock: { readonly now: number };

  constructor(clock: { readonly now: number }) {
    this.#clock = clock;
  }

  expire(): void {
    this.done.push(`expire at ${this.#clock.now}`);
  }

  endLate(): void {
    this.done.push(`endLate at ${this.#clock.now}`);
  }

  cut(): void {
    this.done.push(`cut at ${this.#clock.now}`);
  }
}

/** A watch that never checks by itself, on a clock in ms that a test sets. */
function setUp() {
  const clock = { now: 0 };
  const limits = { arrivalTimeoutMs: 1_000, stallTimeoutMs: 500, lookMs: 2 ** 30 };
  const watch = new CallWatch({ ...limits, now: () => clock.now });
  const add = (state: Partial<ScriptedAnswer>) => {
    const answer = Object.assign(new ScriptedAnswer(clock), state);
    return { answer, watching: watch.add(answer) };
  };
  const lookAt = (ms: number): void => {
    clock.now = ms;
    watch.look();
  };
  return { watch, add, lookAt };
}

/** The client has taken 40 bytes before the first check. */
const UNREAD = { writtenBytes: 100, pendingBytes: 60 };

interface Case {
  readonly name: string;
  readonly state: Partial<ScriptedAnswer>;
  /** The times of the checks, in ms. */
  readonly looks: readonly number[];
  /** What changes before the check at a time. */
  readonly changes?: Readonly<Record<number, Partial<ScriptedAnswer>>>;
  readonly done: readonly string[];
}

test.each<Case>([
  {
    name: "expires exactly at its deadline, and only once",
    state: { deadlineAt: 100 },
    looks: [0, 99, 100, 120],
    done: ["expire at 100"],
  },
  {
    name: "is cut 50 ms after it expired if it has not been sent, even if it expired late",
    state: { deadlineAt: 100 },
    looks: [0, 400, 449, 450],
    done: ["expire at 400", "cut at 450"],
  },
  {
    name: "is ended as late once, a full second after the first check, if its request does not arrive",
    state: { hasArrived: false },
    looks: [5_000, 5_999, 6_000, 6_400],
    done: ["endLate at 6000"],
  },
  {
    name: "is not late if its request arrives in time",
    state: { hasArrived: false },
    looks: [0, 999, 10_000],
    changes: { 999: { hasArrived: true } },
    done: [],
  },
  {
    name: "expires if its deadline is not after its arrival limit",
    state: { hasArrived: false, deadlineAt: 1_000 },
    looks: [0, 1_000],
    done: ["expire at 1000"],
  },
  {
    name: "is cut if its client reads nothing for too long",
    state: UNREAD,
    looks: [0, 499, 500],
    done: ["cut at 500"],
  },
  {
    name: "gets the full time again if its client reads a little",
    state: UNREAD,
    looks: [0, 400, 899, 900],
    changes: { 400: { pendingBytes: 59 } },
    done: ["cut at 900"],
  },
  {
    name: "is cut if its client reads nothing while it grows",
    state: UNREAD,
    looks: [0, 400, 500],
    changes: { 400: { writtenBytes: 120, pendingBytes: 80 } },
    done: ["cut at 500"],
  },
  {
    name: "is not cut while there is nothing to read",
    state: { writtenBytes: 100 },
    looks: [0, 10_000, 10_499, 10_500],
    changes: { 10_499: { writtenBytes: 110, pendingBytes: 10 } },
    done: ["cut at 10500"],
  },
])("an answer $name", ({ state, looks, changes = {}, done }) => {
  const { add, lookAt } = setUp();
  const { answer } = add(state);

  for (const ms of looks) {
    Object.assign(answer, changes[ms]);
    lookAt(ms);
  }

  expect(answer.done).toEqual(done);
});

test("an answer that has ended is not touched any more, even if it ended during the same check", () => {
  const { watch, add, lookAt } = setUp();
  const [first, second, third] = [add({ deadlineAt: 10 }), add({ deadlineAt: 10 }), add({ deadlineAt: 10 })];
  first.answer.expire = () => [first, second].forEach(({ watching }) => watch.remove(watching));

  lookAt(20);

  expect([second.answer.done, third.answer.done]).toEqual([[], ["expire at 20"]]);
});

test("a watch checks by itself while it has answers to watch", async () => {
  const expired = Promise.withResolvers<void>();
  using watch = new CallWatch({ lookMs: 1 });
  watch.add(new ScriptedAnswer({ now: 0 }));

  watch.add(Object.assign(new ScriptedAnswer({ now: 0 }), { deadlineAt: 0, expire: () => expired.resolve() }));

  await expect(expired.promise).resolves.toBeUndefined();
});
