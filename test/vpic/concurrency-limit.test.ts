import { expect, test } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { ConcurrencyLimit, withConcurrencyLimit } from "../../src/vpic/concurrency-limit.ts";
import { never } from "./vins.ts";

const STOP = { signal: never(), whileWaiting: never() };

/** Calls that record when they begin, and that the test ends by number. */
class Calls {
  readonly begun: number[] = [];
  readonly #ends = new Map<number, PromiseWithResolvers<undefined>>();

  readonly call = async (number: number): Promise<void> => {
    this.begun.push(number);
    const end = Promise.withResolvers<undefined>();
    this.#ends.set(number, end);
    await end.promise;
  };

  end(number: number): void {
    this.#ends.get(number)?.resolve(undefined);
  }

  fail(number: number): void {
    this.#ends.get(number)?.reject(new Error("failed"));
  }
}

test("only the allowed number runs at once, the others in turn, also after a failure", async () => {
  const calls = new Calls();
  const limit = new ConcurrencyLimit({ maxRunning: 2, maxWaiting: 10 });
  const call = withConcurrencyLimit(limit, calls.call);

  const running = [1, 2, 3, 4].map((number) => call(number, STOP));
  await expect.poll(() => calls.begun).toEqual([1, 2]);
  calls.end(2);
  await expect.poll(() => calls.begun).toEqual([1, 2, 3]);
  calls.fail(1);
  await expect.poll(() => calls.begun).toEqual([1, 2, 3, 4]);
  calls.end(3);
  calls.end(4);
  const outcomes = await Promise.allSettled(running);

  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
  expect([limit.running, limit.waiting]).toEqual([0, 0]);
});

test("a call is refused at once when too many wait", async () => {
  const calls = new Calls();
  const call = withConcurrencyLimit(new ConcurrencyLimit({ maxRunning: 1, maxWaiting: 1 }), calls.call);
  const running = [call(1, STOP), call(2, STOP)];

  await expect(call(3, STOP)).rejects.toBeInstanceOf(SourceUnavailableError);

  calls.end(1);
  await expect.poll(() => calls.begun).toEqual([1, 2]);
  calls.end(2);
  await Promise.all(running);
});

test("a call that is aborted while waiting leaves its turn to the next", async () => {
  const calls = new Calls();
  const call = withConcurrencyLimit(new ConcurrencyLimit({ maxRunning: 1, maxWaiting: 5 }), calls.call);
  const caller = new AbortController();
  const first = call(1, STOP);
  const leaving = call(2, { signal: never(), whileWaiting: caller.signal });
  const running = [first, call(3, STOP)];

  caller.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  calls.end(1);
  await expect.poll(() => calls.begun).toEqual([1, 3]);
  calls.end(3);

  await expect(Promise.all(running)).resolves.toHaveLength(2);
});

test("a call that is aborted at the moment of its turn returns the slot", async () => {
  const limit = new ConcurrencyLimit({ maxRunning: 1, maxWaiting: 5 });
  const caller = new AbortController();
  await limit.acquire(never());
  const leaving = limit.acquire(caller.signal);

  caller.abort(new Error("gone"));
  limit.release();

  await expect(leaving).rejects.toThrow("gone");
  expect([limit.running, limit.waiting]).toEqual([0, 0]);
});
