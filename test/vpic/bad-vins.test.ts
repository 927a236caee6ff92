import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import type { Behaviour } from "../support/fake-vpic-behaviour.ts";
import { VinCooldown } from "../../src/vpic/vin-cooldown.ts";
import { UNKNOWN_FACTS } from "../support/fake-vpic-answers.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { startVpic } from "./start-vpic.ts";
import { never, toVins } from "./vins.ts";

const [BAD = expect.fail(), ...GOOD] = toVins(50);
const [FIRST = expect.fail(), ...OTHERS] = GOOD;

/** Faults that one VIN may cause. */
const FAULTS: readonly Behaviour[] = [
  { kind: "missing-rows" },
  { kind: "wrong-vin" },
  { kind: "status", status: 500 },
  { kind: "status", status: 400 },
  { kind: "html" },
  { kind: "reset" },
];
const SILENCE: Behaviour = { kind: "silence" };

/** A vPIC that fails for every request with the bad VIN, and answers the others. */
async function startFailingForOne(fault: Behaviour) {
  return await startVpic(
    { respondWith: ({ vins }) => (vins.includes(BAD) ? fault : undefined) },
    { requestsPerSecond: 1_000, ...(fault.kind === "silence" ? { attemptTimeoutMs: 1_000 } : {}) },
  );
}

describe.concurrent.each([...FAULTS, SILENCE].map((fault) => [JSON.stringify(fault), fault] as const))(
  "one VIN that vPIC answers with %s",
  (_, fault) => {
    test("does not open the circuit breaker for the others", async () => {
      await using started = await startFailingForOne(fault);
      const { source } = started;

      for (let round = 0; round < 5; round++) {
        await expect(source.decode({ vin: BAD }, never())).rejects.toBeInstanceOf(SourceUnavailableError);
      }

      expect(source.state().breaker).toBe("closed");
      expect(await source.decode({ vin: FIRST }, never())).toMatchObject({ make: "PETERBILT" });
    });

    test("is not sent again for a while, and the error says when to retry", async () => {
      await using started = await startFailingForOne(fault);
      const { vpic, source } = started;
      await expect(source.decode({ vin: BAD }, never())).rejects.toBeInstanceOf(SourceUnavailableError);
      const { length } = vpic.requests;

      const again = source.decode({ vin: BAD, modelYear: 2014 }, never());

      await expect(again).rejects.toMatchObject({
        name: "SourceUnavailableError",
        retryAfterMs: expect.toSatisfy((ms: number) => ms > 0 && ms <= 30_000),
      });
      expect(vpic.requests).toHaveLength(length);
    });
  },
);

test.concurrent.each(FAULTS.map((fault) => [JSON.stringify(fault), fault] as const))(
  "one VIN of fifty that vPIC answers with %s does not keep the others from being answered",
  async (_, fault) => {
    await using started = await startFailingForOne(fault);
    const { source } = started;
    // The first VIN is sent alone; the bad one is in the batch with the others.
    const decode = async (vin: Vin): Promise<Vin> => (await source.decode({ vin }, never())).vin;

    const decodes = [FIRST, BAD, ...OTHERS].map(decode);
    const outcomes = await Promise.allSettled(decodes);

    const answered = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    expect(answered.toSorted()).toEqual(GOOD);
    expect(source.state().breaker).toBe("closed");
  },
);

describe("a VIN in its cooldown", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test("is refused for 30 s after its last failure", () => {
    const cooldown = new VinCooldown();
    cooldown.add([BAD]);
    vi.advanceTimersByTime(10_000);
    cooldown.add([BAD]);

    vi.advanceTimersByTime(29_999);
    const before = cooldown.refusalOf(BAD);
    vi.advanceTimersByTime(1);

    expect(before).toMatchObject({ name: "SourceUnavailableError", retryAfterMs: 1 });
    expect(cooldown.refusalOf(BAD)).toBeUndefined();
  });

  test("leaves it early when 10,000 others enter theirs", () => {
    const cooldown = new VinCooldown();
    const vins = toVins(10_001);

    cooldown.add(vins);

    expect(vins.filter((vin) => cooldown.refusalOf(vin) === undefined)).toEqual([BAD]);
  });
});

test.each([
  { name: "with a field of 5 KB", facts: { AdditionalErrorText: "x".repeat(5_000) } },
  {
    name: "of 0.9 MB",
    facts: Object.fromEntries(Array.from({ length: 225 }, (_, index) => [`Field${index}`, "x".repeat(4_000)])),
  },
  { name: "that is decoded clean and empty", facts: { ...UNKNOWN_FACTS, ErrorCode: "0", ErrorText: "0 - clean" } },
])("a row $name is not an answer", async ({ facts }) => {
  await using started = await startVpic({ facts: { [BAD]: facts } });

  const decoding = started.source.decode({ vin: BAD }, never());

  await expect(decoding).rejects.toMatchObject({ name: "SourceUnavailableError", cause: { kind: "missing-row" } });
});

test("the log says why the circuit breaker opened", async () => {
  const logger = new MemoryLogger();
  await using started = await startVpic({ respondWith: { kind: "status", status: 503 } }, { logger });
  const { source } = started;

  await Promise.allSettled(toVins(3).map((vin) => source.decode({ vin }, never())));

  expect(source.state().breaker).toBe("open");
  expect(logger.lines.filter(({ level }) => level === "warn")).toMatchObject([
    {
      message: "circuit breaker opened: pausing requests to vPIC",
      fields: { kind: "status", reason: "vPIC answered with status 503" },
    },
  ]);
});
