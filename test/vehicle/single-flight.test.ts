import { expect, test } from "vitest";

import { SingleFlight } from "../../src/vehicle/single-flight.ts";

const never = new AbortController().signal;

/** Work that the test ends, and what became of it. */
class Work {
  readonly result = Promise.withResolvers<string>();
  starts = 0;
  signal: AbortSignal | undefined;

  readonly start = async (signal: AbortSignal): Promise<string> => {
    this.starts += 1;
    this.signal = signal;
    return await this.result.promise;
  };
}

function failToStart(): never {
  throw new Error("no start");
}

test("callers of the same key share one flight", async () => {
  const flights = new SingleFlight<string, string>();
  const [work, other] = [new Work(), new Work()];

  const joined = [flights.join("a", work.start, never), flights.join("a", work.start, never)];
  const apart = flights.join("b", other.start, never);
  work.result.resolve("a's");
  other.result.resolve("b's");

  expect(await Promise.all([...joined, apart])).toEqual(["a's", "a's", "b's"]);
  expect([work.starts, other.starts]).toEqual([1, 1]);
});

test("the caller after a flight starts a new one, even if the flight failed", async () => {
  const flights = new SingleFlight<string, string>();
  const [failing, next] = [new Work(), new Work()];
  const joined = flights.join("a", failing.start, never);
  failing.result.reject(new Error("failed"));
  await expect(joined).rejects.toThrow("failed");

  const again = flights.join("a", next.start, never);
  next.result.resolve("answer");

  expect(await again).toBe("answer");
  expect(flights.size).toBe(0);
});

test("work that throws before it returns is a failed flight", async () => {
  const flights = new SingleFlight<string, string>();

  await expect(flights.join("a", failToStart, never)).rejects.toThrow("no start");

  expect(flights.size).toBe(0);
});

test("a caller who leaves is released at once, and the others are still answered", async () => {
  const flights = new SingleFlight<string, string>();
  const work = new Work();
  const caller = new AbortController();
  const leaving = flights.join("a", work.start, caller.signal, { keep: false });
  const staying = flights.join("a", work.start, never, { keep: false });

  caller.abort(new Error("gone"));
  await expect(leaving).rejects.toThrow("gone");
  work.result.resolve("answer");

  expect(await staying).toBe("answer");
  expect(work.signal?.aborted).toBe(false);
});

test("a caller who has already left starts nothing", async () => {
  const flights = new SingleFlight<string, string>();
  const work = new Work();

  await expect(flights.join("a", work.start, AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");

  expect(work.starts).toBe(0);
});

test.each([
  { keep: [true], isAborted: false },
  { keep: [undefined], isAborted: false },
  { keep: [false, true], isAborted: false },
  { keep: [false], isAborted: true },
  { keep: [false, false], isAborted: true },
])("when callers with keep: $keep have all gone, the flight is aborted: $isAborted", async ({ keep, isAborted }) => {
  const flights = new SingleFlight<string, string>();
  const work = new Work();
  const caller = new AbortController();
  const joined = keep.map((keep) => flights.join("a", work.start, caller.signal, keep === undefined ? {} : { keep }));

  caller.abort(new Error("gone"));
  await Promise.allSettled(joined);

  expect(work.signal?.aborted).toBe(isAborted);
  expect(flights.size).toBe(isAborted ? 0 : 1);
});

test("a flight that fails without callers is not an unhandled rejection", async () => {
  const flights = new SingleFlight<string, string>();
  const work = new Work();
  const caller = new AbortController();
  const joined = flights.join("a", work.start, caller.signal);
  caller.abort(new Error("gone"));
  await Promise.allSettled([joined]);

  work.result.reject(new Error("too late"));
  await expect(work.result.promise).rejects.toThrow("too late");

  expect(flights.size).toBe(0);
});

test("the caller after an aborted flight starts a new one", async () => {
  const flights = new SingleFlight<string, string>();
  const [aborted, next] = [new Work(), new Work()];
  const caller = new AbortController();
  const joined = flights.join("a", aborted.start, caller.signal, { keep: false });
  caller.abort(new Error("gone"));
  await Promise.allSettled([joined]);

  const again = flights.join("a", next.start, never);
  aborted.result.reject(new Error("aborted"));
  next.result.resolve("answer");

  expect(await again).toBe("answer");
});
