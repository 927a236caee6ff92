import { expect, test } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import type { VpicAttempt } from "../../src/vpic/policies.ts";
import { UNKNOWN_FACTS } from "../support/fake-vpic-answers.ts";
import { startVpic } from "./start-vpic.ts";
import { never, toVins } from "./vins.ts";

const VIN = parseVin("1XPWD40X1ED215307");
const JSON_REQUEST = { accept: "application/json", "user-agent": "VehicleService/1.2.3" };

test("a VIN is sent in one GET that names the service, and decoded", async () => {
  await using started = await startVpic({}, { now: () => 1_000 });
  const { vpic, source } = started;

  const decode = await source.decode({ vin: VIN }, never());

  expect(decode).toMatchObject({
    vin: VIN,
    make: "PETERBILT",
    model: "579",
    modelYear: "2014",
    bodyClass: "Truck-Tractor",
    source: "vpic",
    decodedAt: 1_000,
  });
  expect(vpic.requests).toHaveLength(1);
  expect(vpic.requests[0]).toMatchObject({
    method: "GET",
    path: `/api/vehicles/DecodeVinValues/${VIN}?format=json`,
    headers: JSON_REQUEST,
  });
});

test("a model year is sent with a single VIN", async () => {
  await using started = await startVpic();
  const { vpic, source } = started;

  const decode = await source.decode({ vin: VIN, modelYear: 2011 }, never());

  expect(decode.modelYear).toBe("2011");
  expect(vpic.requests[0]?.path).toBe(`/api/vehicles/DecodeVinValues/${VIN}?format=json&modelyear=2011`);
});

test("further VINs are sent in one POST, format and years in its body, and matched by VIN", async () => {
  await using started = await startVpic({
    delayMs: 20,
    respondWith: ({ method }) => (method === "POST" ? { kind: "reversed" } : undefined),
    facts: { "1XPWD40X1ED000001": { Make: "KENWORTH" } },
  });
  const { vpic, source } = started;
  const [first = VIN, second = VIN, third = VIN] = toVins(3);
  const queries = [{ vin: first }, { vin: second }, { vin: third, modelYear: 2011 }];

  const decodes = await Promise.all(queries.map((query) => source.decode(query, never())));

  expect(decodes.map(({ vin, make, modelYear }) => [vin, make, modelYear])).toEqual([
    [first, "PETERBILT", "2014"],
    [second, "KENWORTH", "2014"],
    [third, "PETERBILT", "2011"],
  ]);
  expect(vpic.requests.map(({ method }) => method)).toEqual(["GET", "POST"]);
  expect(vpic.requests[1]).toMatchObject({
    path: "/api/vehicles/DecodeVINValuesBatch/",
    headers: { ...JSON_REQUEST, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams({ format: "json", data: `${second};${third},2011` }).toString(),
  });
});

test("one VIN with and without a year is sent in separate requests, each with its own answer", async () => {
  await using started = await startVpic({ delayMs: 20 });
  const { vpic, source } = started;
  const years = [undefined, 2011, 2012];

  const decodes = await Promise.all(years.map((modelYear) => source.decode({ vin: VIN, modelYear }, never())));

  expect(decodes.map(({ modelYear }) => modelYear)).toEqual(["2014", "2011", "2012"]);
  expect(vpic.requests.map(({ asked }) => asked.map(({ modelYear }) => modelYear))).toEqual([
    [undefined],
    ["2011"],
    ["2012"],
  ]);
});

test("a VIN whose row is missing is sent again without the others, which are answered at once", async () => {
  const vins = toVins(4);
  const [, , missing = VIN] = vins;
  await using started = await startVpic({
    respondWith: ({ number }) => (number === 2 ? { kind: "missing-rows", vins: [missing] } : undefined),
  });
  const { vpic, source } = started;
  const order: string[] = [];

  await Promise.all(
    vins.map(async (vin) => {
      await source.decode({ vin }, never());
      order.push(vin);
    }),
  );

  expect(vpic.requests.map((request) => request.vins)).toEqual([vins.slice(0, 1), vins.slice(1), [missing]]);
  expect(order.at(-1)).toBe(missing);
  expect(source.state().breaker).toBe("closed");
});

test("a VIN whose row never comes is unavailable after four requests, not unknown", async () => {
  const [asked = VIN, missing = VIN] = toVins(2);
  await using started = await startVpic({
    delayMs: 20,
    respondWith: ({ number }) => (number === 1 ? undefined : { kind: "missing-rows", vins: [missing] }),
  });
  const { vpic, source } = started;

  const outcomes = await Promise.allSettled([asked, missing].map((vin) => source.decode({ vin }, never())));

  expect(outcomes).toMatchObject([
    { status: "fulfilled" },
    { status: "rejected", reason: { name: "SourceUnavailableError", cause: { kind: "missing-row" } } },
  ]);
  expect(vpic.vins.filter((vin) => vin === missing).length).toBeLessThanOrEqual(4);
});

test("a VIN that vPIC does not know is answered with vPIC's verdict", async () => {
  await using started = await startVpic({ facts: { [VIN]: UNKNOWN_FACTS } });

  const decode = await started.source.decode({ vin: VIN }, never());

  expect(decode).toMatchObject({ make: "", model: "", modelYear: "", verdict: { codes: [7, 14] } });
});

test.each(["old-shape", "gzip"] as const)("an answer that comes as %s is read", async (kind) => {
  await using started = await startVpic({ respondWith: { kind } });

  const decode = await started.source.decode({ vin: VIN }, never());

  expect(decode).toMatchObject({ make: "PETERBILT", verdict: { codes: [0] } });
  expect(started.vpic.requests).toHaveLength(1);
});

test("every attempt is reported with its outcome", async () => {
  const attempts: VpicAttempt[] = [];
  await using started = await startVpic(
    { respondWith: ({ number }) => (number === 1 ? { kind: "status", status: 503 } : undefined) },
    { onAttempt: (attempt) => attempts.push(attempt) },
  );

  await started.source.decode({ vin: VIN }, never());

  // The caller has its answer before the attempt is over.
  await expect.poll(() => attempts).toHaveLength(2);
  expect(attempts).toMatchObject([
    { vins: 1, outcome: "status", status: 503 },
    { vins: 1, outcome: "answered", status: undefined },
  ]);
});

test("the state has budget, queue and requests in progress", async () => {
  await using started = await startVpic({ respondWith: { kind: "silence" } }, { requestsPerSecond: 0.001, burst: 1 });
  const { source } = started;
  const before = source.state();
  const decodes = toVins(103).map((vin) => source.decode({ vin }, never()).catch((error: unknown) => error));

  await expect.poll(() => source.state().gatheringVins).toBe(0);
  const during = source.state();
  await source[Symbol.asyncDispose]();
  const errors = await Promise.all(decodes);

  expect(before).toEqual({
    breaker: "closed",
    availableRequests: 1,
    waitingRequests: 0,
    gatheringVins: 0,
    runningRequests: 0,
  });
  expect(during).toMatchObject({ availableRequests: 0, waitingRequests: 3, runningRequests: 1 });
  expect(errors.every((error) => error instanceof SourceUnavailableError)).toBe(true);
});

test("when the only caller leaves, the request is cancelled", async () => {
  const outcome = Promise.withResolvers<string>();
  await using started = await startVpic(
    { respondWith: { kind: "silence" } },
    { onAttempt: (attempt) => outcome.resolve(attempt.outcome) },
  );
  const { vpic, source } = started;
  const caller = new AbortController();
  const decoding = source.decode({ vin: VIN }, caller.signal);
  await expect.poll(() => vpic.requests.length).toBe(1);

  caller.abort(new Error("gone"));

  await expect(decoding).rejects.toThrow("gone");
  expect(await outcome.promise).toBe("cancelled");
  expect(source.state()).toMatchObject({ breaker: "closed", runningRequests: 0 });
});

test("a VIN that vPIC still answers, for a caller who left, is neither sent again nor given up before", async () => {
  const answer = Promise.withResolvers<void>();
  await using started = await startVpic({
    respondWith: ({ number }) => (number <= 2 ? { kind: "answer", until: answer.promise } : undefined),
  });
  const { vpic, source } = started;
  const [first = VIN, left = VIN, shared = VIN, other = VIN] = toVins(4);
  const caller = new AbortController();
  const order: string[] = [];
  const decodes = [source.decode({ vin: first }, never()), source.decode({ vin: shared }, never())];
  const leaving = source.decode({ vin: left }, caller.signal).catch(() => order.push("given up"));
  await expect.poll(() => vpic.requests.length).toBe(2);

  caller.abort(new Error("gone"));
  const again = source.decode({ vin: left }, never());
  await source.decode({ vin: other }, never());
  order.push("vPIC answers");
  answer.resolve();
  await Promise.all([...decodes, leaving, again]);

  expect(order).toEqual(["vPIC answers", "given up"]);
  expect(vpic.requests.map(({ vins }) => vins)).toEqual([[first], [shared, left], [other], [left]]);
});
