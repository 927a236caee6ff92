import { describe, expect, test } from "vitest";
import type { Parts } from "../src/readiness.ts";
import { Readiness } from "../src/readiness.ts";
import { SourceUnavailableError } from "../src/vehicle/errors.ts";

type State = { -readonly [Name in keyof Parts]: ReturnType<Extract<Parts[Name], () => unknown>> } & {
  requireDatabase: boolean;
};

/** A service whose parts and clock the test controls. */
function setUp(changes: Partial<State> = {}) {
  const state = { ...GOOD, ...changes };
  const events: string[] = [];
  let nowMs = 0;
  const readiness = new Readiness({
    isCacheUp: () => state.isCacheUp,
    breaker: () => state.breaker,
    snapshot: () => state.snapshot,
    isTokensFileFaulty: () => state.isTokensFileFaulty,
    areTlsFilesFaulty: () => state.areTlsFilesFaulty,
    requireDatabase: state.requireDatabase,
    vpic:
      state.breaker === undefined
        ? undefined
        : {
            decode: () => {
              events.push("asked vPIC");
              return Promise.reject(new SourceUnavailableError("away"));
            },
          },
    onChange: (isReady) => events.push(isReady ? "ready" : "not ready"),
    checkEveryMs: 2 ** 30,
    now: () => nowMs,
  });
  const checkAt = (ms: number): void => {
    nowMs = ms;
    readiness.check();
  };
  return { readiness, state, events, checkAt };
}

const GOOD = {
  isCacheUp: true,
  breaker: "closed" as State["breaker"],
  snapshot: undefined as State["snapshot"],
  isTokensFileFaulty: false,
  areTlsFilesFaulty: false,
  requireDatabase: false,
};

describe("a service", () => {
  test("is ready when the snapshot is unpacked", () => {
    const { readiness, state, events, checkAt } = setUp({ snapshot: { state: "preparing" } });
    checkAt(1_000);
    const before = [readiness.isReady, readiness.describe()];

    state.snapshot = { state: "ready", dataDate: "2026-10" };
    checkAt(2_000);

    expect(before).toEqual([false, "starting: no source can answer yet"]);
    expect([readiness.isReady, readiness.describe()]).toEqual([true, "ready; snapshot data of 2026-10"]);
    expect(events).toEqual(["ready"]);
  });

  test("is ready when vPIC has answered", () => {
    const { readiness, events } = setUp();

    readiness.noteAnswer();

    expect([readiness.isReady, readiness.describe()]).toEqual([true, "ready"]);
    expect(events).toEqual(["ready"]);
  });

  test("stays ready whatever fails later, and says what is degraded", () => {
    const { readiness, state, checkAt } = setUp();
    readiness.noteAnswer();

    state.isCacheUp = false;
    state.breaker = "open";
    state.snapshot = { state: "unavailable" };
    state.isTokensFileFaulty = true;
    state.areTlsFilesFaulty = true;
    checkAt(1_000);

    expect(readiness.isReady).toBe(true);
    expect(readiness.describe()).toBe(
      "ready; degraded: the cache does not answer, vPIC's circuit breaker is open, the snapshot cannot be used, " +
        "the new tokens file is not usable, the new TLS files are not usable",
    );
    expect(Object.values(readiness.degraded)).toEqual([true, true, true, true, true]);
  });

  test("that requires its database is not ready while the database does not answer", () => {
    const { readiness, state, events, checkAt } = setUp({ requireDatabase: true });
    readiness.noteAnswer();

    state.isCacheUp = false;
    checkAt(1_000);
    const without = readiness.describe();
    state.isCacheUp = true;
    checkAt(2_000);

    expect(without).toBe("not ready; degraded: the cache does not answer");
    expect(events).toEqual(["ready", "not ready", "ready"]);
  });

  test("that stops is no longer ready", () => {
    const { readiness, events } = setUp();
    readiness.noteAnswer();

    readiness.stop();
    readiness.check();

    expect([readiness.isReady, readiness.describe()]).toEqual([false, "stopping"]);
    expect(events).toEqual(["ready"]);
  });
});

describe("the service itself probes vPIC", () => {
  test("every five seconds until a source has been usable", () => {
    const { readiness, events, checkAt } = setUp();

    [1_000, 4_999, 5_000, 9_999, 10_000].forEach(checkAt);
    readiness.noteAnswer();
    checkAt(20_000);

    expect(events).toEqual(["asked vPIC", "asked vPIC", "ready"]);
  });

  test("while the breaker is open, so that recovery needs no callers", () => {
    const { readiness, state, events, checkAt } = setUp();
    readiness.noteAnswer();

    state.breaker = "open";
    checkAt(10_000);
    state.breaker = "closed";
    checkAt(20_000);

    expect(events).toEqual(["ready", "asked vPIC"]);
  });

  test("not when vPIC is not a source", () => {
    const { events, checkAt } = setUp({ breaker: undefined });

    checkAt(60_000);

    expect(events).toEqual([]);
  });
});
