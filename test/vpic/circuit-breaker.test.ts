import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import type { BreakerPass, BreakerState } from "../../src/vpic/circuit-breaker.ts";
import { CircuitBreaker, withCircuitBreaker, withRefusal } from "../../src/vpic/circuit-breaker.ts";
import { Batch, Question } from "../../src/vpic/gatherer.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import type { Call } from "../../src/vpic/call.ts";
import { VpicError } from "../../src/vpic/vpic-error.ts";
import { never, toVins } from "./vins.ts";

const STOP = { signal: never(), whileWaiting: never() };
const FAULT = new VpicError("network", "broken");

beforeEach(() => {
  vi.useFakeTimers();
  vins = [...toVins(1_000)];
});

afterEach(() => {
  vi.useRealTimers();
});

/** VINs that no attempt has used yet. */
let vins: Vin[];

/** Ends an attempt: "+" is answered, "-" fails for a VIN of its own, "?" is cancelled. */
function end(pass: BreakerPass, outcome: string): void {
  if (outcome === "-") {
    pass.end({ vins: vins.splice(0, 1), reason: FAULT });
  } else {
    pass.end(outcome === "+" ? "answered" : "cancelled");
  }
}

/** Makes attempts one after the other. */
function attempt(breaker: CircuitBreaker, outcomes: string): void {
  for (const outcome of outcomes) {
    end(breaker.begin(), outcome);
  }
}

/** Makes attempts that all fail. Each has the VINs with these numbers. */
function fail(breaker: CircuitBreaker, ...batches: readonly (readonly number[])[]): void {
  const known = toVins(100);
  for (const numbers of batches) {
    breaker.begin().end({ vins: known.filter((_, number) => numbers.includes(number)), reason: FAULT });
  }
}

function batchOf(...some: readonly Vin[]): Batch {
  const batch = new Batch();
  for (const vin of some) {
    batch.offer(new Question({ vin }, never()));
  }
  return batch;
}

/** The next batch with one VIN of its own. */
function nextBatch(): Batch {
  return batchOf(...vins.splice(0, 1));
}

function failWith(failure: Error): Call<Batch> {
  return async () => await Promise.reject(failure);
}

describe("a breaker in a fleet", () => {
  const fleet = { granted: true, ended: 0 };
  const probes = {
    mayProbe: async () => fleet.granted,
    endProbing: async () => {
      fleet.ended++;
    },
  };

  test("sends no probe while another process is probing, and tells the others when its own probe is answered", async () => {
    const breaker = openBreaker();
    let sent = 0;
    const call = withCircuitBreaker(breaker, async () => void sent++, probes);
    await vi.advanceTimersByTimeAsync(5_000);
    fleet.granted = false;
    const refused = call(nextBatch(), STOP);

    await expect(refused).rejects.toThrow(SourceUnavailableError);
    expect([breaker.state, sent, fleet.ended]).toEqual(["open", 0, 0]);

    await vi.advanceTimersByTimeAsync(5_000);
    fleet.granted = true;
    await call(nextBatch(), STOP);

    expect([breaker.state, sent, fleet.ended]).toEqual(["closed", 1, 1]);
  });
});

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

  test("forgets attempts older than 30 s", () => {
    const breaker = new CircuitBreaker();
    attempt(breaker, "--");
    vi.advanceTimersByTime(30_001);

    attempt(breaker, "--");

    expect(breaker.state).toBe("closed");
  });

  test("ignores quick failures while earlier attempts are undecided", () => {
    const breaker = new CircuitBreaker();
    const slow = breaker.begin();
    attempt(breaker, "----");
    const before = breaker.state;

    end(slow, "+");

    expect([before, breaker.state]).toEqual(["closed", "closed"]);
  });

  test("counts undecided attempts as successes until they end", () => {
    const breaker = new CircuitBreaker();
    const slow = [breaker.begin(), breaker.begin(), breaker.begin()];
    attempt(breaker, "+++++-----");
    const before = breaker.state;

    for (const pass of slow) {
      end(pass, "-");
    }

    expect([before, breaker.state]).toEqual(["closed", "open"]);
  });

  test("does not wait for attempts that hang when all others fail", () => {
    const breaker = new CircuitBreaker();
    Array.from({ length: 7 }, () => breaker.begin());

    attempt(breaker, "----------");

    expect(breaker.state).toBe("open");
  });

  test("counts all failures of one VIN as one", () => {
    const breaker = new CircuitBreaker();

    fail(breaker, [1, 2, 3, 4], [1, 2, 3, 4], [1, 2], [3, 4], [1], [1], [1], [1], [1], [1], [1], [1]);

    expect(breaker.state).toBe("closed");
  });

  test("opens when the parts of a batch that failed fail too", () => {
    const breaker = new CircuitBreaker();

    fail(breaker, [1, 2, 3, 4], [1, 2, 3, 4], [1, 2], [3, 4], [1], [2]);

    expect(breaker.state).toBe("open");
  });

  test("opens when the undecided attempt fails too", () => {
    const breaker = new CircuitBreaker();
    const slow = breaker.begin();
    attempt(breaker, "--");

    end(slow, "-");

    expect(breaker.state).toBe("open");
  });
});

describe("an open breaker", () => {
  test("refuses at once, and says when to retry", () => {
    const breaker = openBreaker();
    vi.advanceTimersByTime(2_000);

    expect(() => breaker.begin()).toThrow(SourceUnavailableError);
    expect(breaker.refusal?.retryAfterMs).toBe(3_000);
  });

  test("allows one probe after 5 s, and no other while that one runs", () => {
    const breaker = openBreaker();
    vi.advanceTimersByTime(4_999);
    const early = breaker.refusal;
    vi.advanceTimersByTime(1);

    breaker.begin();

    expect(early).toBeInstanceOf(SourceUnavailableError);
    expect(breaker.state).toBe("half-open");
    expect(() => breaker.begin()).toThrow(SourceUnavailableError);
  });

  test("closes after a probe that succeeds, and starts counting again", () => {
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

  test("waits again after a probe that was cancelled, without doubling the pause", () => {
    const breaker = openBreaker();
    vi.advanceTimersByTime(5_000);

    attempt(breaker, "?");

    expect(breaker.refusal?.retryAfterMs).toBe(5_000);
  });

  test("ignores attempts that began before it opened", () => {
    const breaker = new CircuitBreaker();
    const late = Array.from({ length: 12 }, () => breaker.begin());
    breaker.openFor(5_000, FAULT);
    vi.advanceTimersByTime(5_000);
    attempt(breaker, "+");

    for (const pass of late) {
      end(pass, "-");
    }

    expect(breaker.state).toBe("closed");
  });

  test("stays open for the longer of two reasons", () => {
    const breaker = openBreaker();

    breaker.openFor(300_000, FAULT);
    breaker.openFor(1_000, FAULT);

    expect(breaker.refusal?.retryAfterMs).toBe(300_000);
  });
});

describe("the breaker around calls", () => {
  test("every change is reported once, with the last failure", async () => {
    const states: BreakerState[] = [];
    const reasons = new Set<unknown>();
    const breaker = new CircuitBreaker((state, reason) => {
      states.push(state);
      reasons.add(reason);
    });
    attempt(breaker, "---");
    vi.advanceTimersByTime(5_000);
    attempt(breaker, "-");
    vi.advanceTimersByTime(10_000);

    attempt(breaker, "+");

    expect(states).toEqual(["open", "half-open", "open", "half-open", "closed"]);
    expect([...reasons]).toEqual([FAULT]);
  });

  test.each([new Error("gone"), new SourceUnavailableError("too many wait")])(
    "%s is not a failure of vPIC",
    async (error) => {
      const breaker = new CircuitBreaker();
      const call = withCircuitBreaker(breaker, failWith(error));

      for (let i = 0; i < 20; i++) {
        await expect(call(nextBatch(), STOP)).rejects.toBe(error);
      }

      expect(breaker.state).toBe("closed");
    },
  );

  test("an answer of the known shape without the row shows that vPIC works", async () => {
    const breaker = new CircuitBreaker();
    const call = withCircuitBreaker(breaker, failWith(new VpicError("missing-row", "")));

    for (let i = 0; i < 20; i++) {
      await expect(call(nextBatch(), STOP)).rejects.toBeInstanceOf(VpicError);
    }

    expect(breaker.state).toBe("closed");
  });

  test("the failure that opens it becomes a refusal, with its cause", async () => {
    const call = withCircuitBreaker(new CircuitBreaker(), failWith(FAULT));

    const errors: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      errors.push(await call(nextBatch(), STOP).catch((error: unknown) => error));
    }

    expect(errors.slice(0, 2)).toEqual([FAULT, FAULT]);
    expect(errors[2]).toMatchObject({ name: "SourceUnavailableError", retryAfterMs: 5_000, cause: FAULT });
  });

  test.each([
    { fault: new VpicError("status", "", { status: 403 }), expected: 300_000 },
    { fault: new VpicError("status", "", { status: 429, retryAfterMs: 60_000 }), expected: 60_000 },
    { fault: new VpicError("status", "", { status: 503, retryAfterMs: 86_400_000 }), expected: 300_000 },
    { fault: new VpicError("status", "", { status: 429, retryAfterMs: 2_000 }), expected: undefined },
  ])(
    "status $fault.status with Retry-After $fault.retryAfterMs opens it for $expected ms",
    async ({ fault, expected }) => {
      const breaker = new CircuitBreaker();

      await expect(withCircuitBreaker(breaker, failWith(fault))(nextBatch(), STOP)).rejects.toBeInstanceOf(Error);

      expect(breaker.refusal?.retryAfterMs).toBe(expected);
    },
  );

  test("a call that waits when it opens is ended at once", async () => {
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

  test("no call begins while it is open", async () => {
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
