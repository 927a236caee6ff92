import { expect, test } from "vitest";
import type { Watched } from "../../src/server/call-watch.ts";
import { CallWatch } from "../../src/server/call-watch.ts";

type State = Partial<Watched>;

/** A watch that never checks by itself, on a clock in ms that a test sets. */
function setUp() {
  const clock = { now: 0 };
  const limits = { arrivalTimeoutMs: 1_000, stallTimeoutMs: 500, lookMs: 2 ** 30 };
  const watch = new CallWatch({ ...limits, now: () => clock.now });
  /** Watches an answer, and records what the watch does with it, and when. */
  const add = (state: State) => {
    const done: string[] = [];
    const note = (what: string) => () => void done.push(`${what} at ${clock.now}`);
    const actions = { expire: note("expire"), endLate: note("endLate"), cut: note("cut") };
    const answer = { deadlineAt: Infinity, hasArrived: true, writtenBytes: 0, pendingBytes: 0, ...actions, ...state };
    return { answer, done, watching: watch.add(answer) };
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
])("an answer %s", (_what, state, looks, expected, changes = {}) => {
  const { add, lookAt } = setUp();
  const { answer, done } = add(state);

  for (const ms of looks) {
    Object.assign(answer, changes[ms]);
    lookAt(ms);
  }

  expect(done).toEqual(expected);
});

test("an answer that has ended is not touched any more, even if it ended during the same check", () => {
  const { watch, add, lookAt } = setUp();
  const endTwo = (): void => [first, second].forEach(({ watching }) => watch.remove(watching));
  const first = add({ deadlineAt: 10, expire: endTwo });
  const second = add({ deadlineAt: 10 });
  const third = add({ deadlineAt: 10 });

  lookAt(20);

  expect([second.done, third.done]).toEqual([[], ["expire at 20"]]);
});

test("an answer is read only when a check is due, also after the time in which requests must arrive", () => {
  const { add, lookAt } = setUp();
  const { answer } = add({});
  lookAt(0);
  lookAt(2_000);
  let reads = 0;
  Object.defineProperty(answer, "pendingBytes", { get: () => reads++ });

  lookAt(2_001);
  const readsBefore = reads;
  lookAt(2_100);

  expect([readsBefore, reads]).toEqual([0, 1]);
});
