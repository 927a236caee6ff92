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
const GROWN = { writtenBytes: 120, pendingBytes: 80 };
const READ = { writtenBytes: 40, pendingBytes: 0 };

type State = Partial<ScriptedAnswer>;
/** The times of the checks are in ms. What changes at a time changes before the check. */
type Case = [what: string, state: State, looks: number[], done: string[], changes?: Record<number, State>];

test.each<Case>([
  ["expires exactly at its deadline, and only once", { deadlineAt: 100 }, [0, 99, 100, 120], ["expire at 100"]],
  ["is cut 50 ms after it expired late", { deadlineAt: 100 }, [0, 400, 449, 450], ["expire at 400", "cut at 450"]],
  ["is late once if its request does not arrive", { hasArrived: false }, [5, 1_004, 1_005, 2_100], ["endLate at 1005"]],
  ["is not late if its request arrives", { hasArrived: false }, [0, 999, 9_999], [], { 999: { hasArrived: true } }],
  ["expires rather than is late", { hasArrived: false, deadlineAt: 1_000 }, [0, 1_000], ["expire at 1000"]],
  ["is cut if its client reads nothing", UNREAD, [0, 499, 500], ["cut at 500"]],
  [
    "gets its time again if its client reads",
    UNREAD,
    [0, 400, 899, 900],
    ["cut at 900"],
    { 400: { pendingBytes: 59 } },
  ],
  ["that grows is cut if its client reads nothing", UNREAD, [0, 400, 500], ["cut at 500"], { 400: GROWN }],
  ["is kept while there is nothing to read", READ, [0, 9_000, 9_499, 9_500], ["cut at 9500"], { 9_499: GROWN }],
])("an answer %s", (_what, state, looks, done, changes = {}) => {
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
