import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import type { BreakerState } from "../../src/vpic/circuit-breaker.ts";
import { CircuitBreaker } from "../../src/vpic/circuit-breaker.ts";
import type { Call } from "../../src/vpic/stop.ts";
import { VpicFault } from "../../src/vpic/vpic-fault.ts";
import { withCircuitBreaker, withRefusal } from "../../src/vpic/with-circuit-breaker.ts";
import { never } from "./vins.ts";

const STOP = { signal: never(), whileWaiting: never() };
const FAULT = new VpicFault("network", "broken");

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Makes attempts one after the other: "+" succeeds, "-" fails, "?" ends neither way. */
function attempt(breaker: CircuitBreaker, outcomes: string): void {
  for (const outcome of outcomes) {
    breaker.begin().end(outcome === "?" ? undefined : outcome === "+");
  }
}

function failWith(failure: Error): Call<string> {
  return async () => await Promise.reject(failure);
}

function openBreaker(): CircuitBreaker {
  const breaker = new CircuitBreaker();
  attempt(breaker, "---");
  return breaker;
}

describe("a closed breaker", () => {
  test.each([
    ["---", "open"],
    ["--", "closed"],
    ["--?", "closed"],
    ["+---", "closed"],
    ["+----+----", "open"],
    ["+-+-+-+-+-", "open"],
    ["+-+-+-+-+", "closed"],
    ["+-+-+-+-++", "closed"],
    ["++-++-++-+++-++-++-+", "closed"],
  ])("after %s is %s", (outcomes, expected) => {
    const breaker = new CircuitBreaker();

    attempt(breaker, outcomes);

    expect(breaker.state).toBe(expected);
  });

  test("forgets what is older than 30 s", () => {
    const breaker = new CircuitBreaker();
    attempt(breaker, "--");
    vi.advanceTimersByTime(30_001);

    attempt(breaker, "--");

    expect(breaker.state).toBe("closed");
  });

  test("does not take quick failures for all there is, while earlier attempts are undecided", () => {
    const breaker = new CircuitBreaker();
    const slow = breaker.begin();
    attempt(breaker, "----");
    const before = breaker.state;

    slow.end(true);

    expect([before, breaker.state]).toEqual(["closed", "closed"]);
  });

  test("takes attempts that are undecided for successes, as long as they are", () => {
    const breaker = new CircuitBreaker();
    const slow = [breaker.begin(), breaker.begin(), breaker.begin()];
    attempt(breaker, "+++++-----");
    const before = breaker.state;

    for (const pass of slow) {
      pass.end(false);
    }

    expect([before, breaker.state]).toEqual(["closed", "open"]);
  });

  test("does not wait for those that hang when all else fails", () => {
    const breaker = new CircuitBreaker();
    Array.from({ length: 7 }, () => breaker.begin());

    attempt(breaker, "----------");

    expect(breaker.state).toBe("open");
  });

  test("opens when the undecided attempt fails too", () => {
    const breaker = new CircuitBreaker();
    const slow = breaker.begin();
    attempt(breaker, "--");

    slow.end(false);

    expect(breaker.state).toBe("open");
  });
});

describe("an open breaker", () => {
  test("refuses at once, and says when to come back", () => {
    const breaker = openBreaker();
    vi.advanceTimersByTime(2_000);

    expect(() => breaker.begin()).toThrow(SourceUnavailableError);
    expect(breaker.refusal?.retryAfterMs).toBe(3_000);
  });

  test("lets one probe pass after 5 s, and no other while that one runs", () => {
    const breaker = openBreaker();
    vi.advanceTimersByTime(4_999);
    const early = breaker.refusal;
    vi.advanceTimersByTime(1);

    breaker.begin();

    expect(early).toBeInstanceOf(SourceUnavailableError);
    expect(breaker.state).toBe("half-open");
    expect(() => breaker.begin()).toThrow(SourceUnavailableError);
  });

  test("closes after a probe that succeeds, and starts counting anew", () => {
    const breaker = openBreaker();
    vi.advanceTimersByTime(5_000);

    attempt(breaker, "+--");

    expect(breaker.state).toBe("closed");
  });

  test("pauses 5, 10, 20, 30, 30 s while probes fail, and 5 s again after it was closed", () => {
    const breaker = openBreaker();
    const pauses: (number | undefined)[] = [breaker.refusal?.retryAfterMs];
    for (let probes = 0; probes < 4; probes++) {
      vi.advanceTimersByTime(breaker.refusal?.retryAfterMs ?? 0);
      attempt(breaker, "-");
      pauses.push(breaker.refusal?.retryAfterMs);
    }
    vi.advanceTimersByTime(30_000);
    attempt(breaker, "+");
    vi.advanceTimersByTime(30_000);
    attempt(breaker, "---");

    expect(pauses).toEqual([5_000, 10_000, 20_000, 30_000, 30_000]);
    expect(breaker.refusal?.retryAfterMs).toBe(5_000);
  });

  test("waits again after a probe that told nothing, without doubling the pause", () => {
    const breaker = openBreaker();
    vi.advanceTimersByTime(5_000);

    attempt(breaker, "?");

    expect(breaker.refusal?.retryAfterMs).toBe(5_000);
  });

  test("is not moved by attempts that began before it opened", () => {
    const breaker = new CircuitBreaker();
    const late = Array.from({ length: 12 }, () => breaker.begin());
    breaker.openFor(5_000);
    vi.advanceTimersByTime(5_000);
    attempt(breaker, "+");

    for (const pass of late) {
      pass.end(false);
    }

    expect(breaker.state).toBe("closed");
  });

  test("stays open for the longer of two reasons", () => {
    const breaker = openBreaker();

    breaker.openFor(300_000);
    breaker.openFor(1_000);

    expect(breaker.refusal?.retryAfterMs).toBe(300_000);
  });
});

describe("the breaker around calls", () => {
  test("changes are told once each", async () => {
    const states: BreakerState[] = [];
    const breaker = new CircuitBreaker((state) => states.push(state));
    attempt(breaker, "---");
    vi.advanceTimersByTime(5_000);
    attempt(breaker, "-");
    vi.advanceTimersByTime(10_000);

    attempt(breaker, "+");

    expect(states).toEqual(["open", "half-open", "open", "half-open", "closed"]);
  });

  test.each([new Error("gone"), new SourceUnavailableError("too many wait")])(
    "%s is not a failure of vPIC",
    async (error) => {
      const breaker = new CircuitBreaker();
      const call = withCircuitBreaker(breaker, failWith(error));

      for (let i = 0; i < 20; i++) {
        await expect(call("x", STOP)).rejects.toBe(error);
      }

      expect(breaker.state).toBe("closed");
    },
  );

  test("an answer that lacks only some rows is a sign of life", async () => {
    const breaker = new CircuitBreaker();
    const call = withCircuitBreaker(breaker, failWith(new VpicFault("missing-row", "", { partlyAnswered: true })));

    for (let i = 0; i < 20; i++) {
      await expect(call("x", STOP)).rejects.toBeInstanceOf(VpicFault);
    }

    expect(breaker.state).toBe("closed");
  });

  test("the failure that opens it is told as a refusal, with its cause", async () => {
    const call = withCircuitBreaker(new CircuitBreaker(), failWith(FAULT));

    const errors: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      errors.push(await call("x", STOP).catch((error: unknown) => error));
    }

    expect(errors.slice(0, 2)).toEqual([FAULT, FAULT]);
    expect(errors[2]).toMatchObject({ name: "SourceUnavailableError", retryAfterMs: 5_000, cause: FAULT });
  });

  test.each([
    { fault: new VpicFault("status", "", { status: 403 }), expected: 300_000 },
    { fault: new VpicFault("status", "", { status: 429, retryAfterMs: 60_000 }), expected: 60_000 },
    { fault: new VpicFault("status", "", { status: 503, retryAfterMs: 86_400_000 }), expected: 300_000 },
    { fault: new VpicFault("status", "", { status: 429, retryAfterMs: 2_000 }), expected: undefined },
  ])(
    "status $fault.status with Retry-After $fault.retryAfterMs opens it for $expected ms",
    async ({ fault, expected }) => {
      const breaker = new CircuitBreaker();

      await expect(withCircuitBreaker(breaker, failWith(fault))("x", STOP)).rejects.toBeInstanceOf(Error);

      expect(breaker.refusal?.retryAfterMs).toBe(expected);
    },
  );

  test("what waits when it opens is ended at once", async () => {
    const breaker = new CircuitBreaker();
    const ended = Promise.withResolvers<unknown>();
    const call = withRefusal<string>(breaker, async (_, { whileWaiting }) => {
      whileWaiting.addEventListener("abort", () => ended.resolve(whileWaiting.reason), { once: true });
      await ended.promise;
    });
    const waiting = call("x", STOP);

    attempt(breaker, "---");
    await waiting;

    expect(await ended.promise).toBeInstanceOf(SourceUnavailableError);
  });

  test("nothing begins while it is open", async () => {
    const begun: string[] = [];
    const call = withRefusal<string>(openBreaker(), async (input) => {
      begun.push(input);
      await Promise.resolve();
    });

    await expect(call("early", STOP)).rejects.toBeInstanceOf(SourceUnavailableError);
    vi.advanceTimersByTime(5_000);
    await call("probe", STOP);

    expect(begun).toEqual(["probe"]);
  });
});
