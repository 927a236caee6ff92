import { describe, expect, test } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import type { Behaviour } from "../support/fake-vpic-behaviour.ts";
import { startVpic } from "./start-vpic.ts";
import { never, toVins } from "./vins.ts";

const [VIN = expect.fail(), OTHER_VIN = expect.fail()] = toVins(2);

/** Transient faults: the request is retried. */
const PASSING: readonly Behaviour[] = [
  { kind: "reset" },
  { kind: "silence" },
  { kind: "drip", intervalMs: 50 },
  { kind: "cut" },
  { kind: "cut-json" },
  { kind: "html" },
  { kind: "html", status: 504 },
  { kind: "xml" },
  { kind: "brotli" },
  { kind: "mislabelled" },
  { kind: "empty-body" },
  { kind: "body", text: "null" },
  { kind: "body", text: '{"Results":{}}' },
  { kind: "body", text: '{"Results":[null,[],"x",{"VIN":7}]}' },
  { kind: "body", text: "{}", contentType: "application/jsonp" },
  { kind: "huge" },
  { kind: "huge", bytes: 1024 * 1024 + 1 },
  { kind: "missing-rows" },
  { kind: "wrong-vin" },
  { kind: "wrong-vin", vin: OTHER_VIN },
  { kind: "status", status: 408 },
  { kind: "status", status: 429 },
  { kind: "status", status: 429, retryAfter: "0" },
  { kind: "status", status: 500 },
  { kind: "status", status: 503 },
  { kind: "redirect", location: "/api/elsewhere" },
];

/** Permanent faults: a retry does not help. */
const LASTING: readonly Behaviour[] = [400, 401, 403, 404, 405, 410].map((status) => ({ kind: "status", status }));

/** A short timeout where nothing else ends an attempt; otherwise the default. */
const timeOf = ({ kind }: Behaviour): { readonly attemptTimeoutMs?: number } =>
  kind === "silence" || kind === "drip" ? { attemptTimeoutMs: 2_000 } : {};

const nameOf = (behaviour: Behaviour): string => JSON.stringify(behaviour);

describe.concurrent("a fault of vPIC", () => {
  test.each(PASSING.map((behaviour) => [nameOf(behaviour), behaviour] as const))(
    "%s once is retried, and the right answer given",
    async (_, fault) => {
      // The second attempt has the usual time, because it must not take longer on a busy machine.
      await using started = await startVpic({ respondWith: ({ number }) => (number === 1 ? fault : undefined) });
      const { vpic, source } = started;

      const decode = await source.decode({ vin: VIN }, never());

      expect(decode).toMatchObject({ vin: VIN, make: "PETERBILT" });
      expect(vpic.vins).toEqual([VIN, VIN]);
      expect(vpic.requests.map(({ path }) => path)).toEqual(
        Array.from({ length: 2 }, () => `/api/vehicles/DecodeVinValues/${VIN}?format=json`),
      );
    },
  );

  test.each(PASSING.map((behaviour) => [nameOf(behaviour), behaviour] as const))(
    "%s every time is not an answer, and ends after four requests",
    async (_, fault) => {
      await using started = await startVpic({ respondWith: fault }, timeOf(fault));
      const { vpic, source } = started;

      await expect(source.decode({ vin: VIN }, never())).rejects.toBeInstanceOf(SourceUnavailableError);

      expect(vpic.requests).toHaveLength(4);
      expect(source.state().breaker).toBe("closed");
    },
  );

  test.each(LASTING.map((behaviour) => [nameOf(behaviour), behaviour] as const))(
    "%s is not retried",
    async (_, fault) => {
      await using started = await startVpic({ respondWith: fault });
      const { vpic, source } = started;

      await expect(source.decode({ vin: VIN }, never())).rejects.toBeInstanceOf(SourceUnavailableError);

      expect(vpic.requests).toHaveLength(1);
    },
  );

  test("a refused connection is retried, and answered once vPIC listens", async () => {
    const refused = Promise.withResolvers<string>();
    await using started = await startVpic({}, { onAttempt: ({ outcome }) => refused.resolve(outcome) });
    const { vpic, source } = started;
    await vpic.refuse();

    const decoding = source.decode({ vin: VIN }, never());
    const firstOutcome = await refused.promise;
    await vpic.listen();

    expect(firstOutcome).toBe("network");
    expect((await decoding).make).toBe("PETERBILT");
  });

  test("a long Retry-After is reported to the caller at once, and nothing is sent before it ends", async () => {
    await using started = await startVpic({ respondWith: { kind: "status", status: 503, retryAfter: "60" } });
    const { vpic, source } = started;

    const failures = [
      await source.decode({ vin: VIN }, never()).catch((error: unknown) => error),
      await source.decode({ vin: OTHER_VIN }, never()).catch((error: unknown) => error),
    ];

    for (const failure of failures) {
      expect(failure).toBeInstanceOf(SourceUnavailableError);
      expect(failure).toMatchObject({ retryAfterMs: expect.toSatisfy((ms: number) => ms > 10_000 && ms <= 60_000) });
    }
    expect(vpic.requests).toHaveLength(1);
  });

  test("a 403 pauses all requests for five minutes", async () => {
    await using started = await startVpic({ respondWith: { kind: "html", status: 403 } });
    const { vpic, source } = started;

    await expect(source.decode({ vin: VIN }, never())).rejects.toMatchObject({
      retryAfterMs: expect.toSatisfy((ms: number) => ms > 200_000 && ms <= 300_000),
    });

    expect(vpic.requests).toHaveLength(1);
    expect(source.state().breaker).toBe("open");
  });

  test("no redirect is followed", async () => {
    await using target = await startVpic();
    await using started = await startVpic({
      respondWith: {
        kind: "redirect",
        location: `${target.vpic.url}/vehicles/DecodeVinValues/${VIN}?format=json`,
      },
    });

    await expect(started.source.decode({ vin: VIN }, never())).rejects.toBeInstanceOf(SourceUnavailableError);

    expect(target.vpic.requests).toHaveLength(0);
  });
});
