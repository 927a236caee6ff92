import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { BatchLookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { BatchLookupResponseSchema, LookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { AskBatch } from "../../src/page/many/batch-run.ts";
import { BatchRun, isProblem } from "../../src/page/many/batch-run.ts";
import type { Query } from "../../src/page/query.ts";
import { manyVins } from "../support/real-vins.ts";

const pauses: number[] = [];

/** Queries with different VINs, and no model year. */
function someQueries(count: number): Query[] {
  return manyVins(count).map((vin) => ({ vin, modelYear: undefined }));
}

function runOf(queries: readonly Query[], ask: AskBatch): BatchRun {
  pauses.length = 0;
  return new BatchRun({
    queries,
    ask,
    onChange: () => {},
    wait: async (ms) => void pauses.push(ms),
    now: () => 0,
  });
}

function vehicle(index: number, codes = [0]): BatchLookupResponse {
  return create(BatchLookupResponseSchema, {
    index,
    result: { case: "vehicle", value: { make: "PETERBILT", verdict: { codes } } },
  });
}

function failure(index: number, code: Code, message: string): BatchLookupResponse {
  return create(BatchLookupResponseSchema, { index, result: { case: "error", value: { code, message } } });
}

async function* answerAll(queries: readonly Query[]): AsyncGenerator<BatchLookupResponse> {
  yield* queries.map((_, index) => vehicle(index));
}

function rateLimited(seconds: bigint): ConnectError {
  const error = new ConnectError("rate limit exceeded", Code.ResourceExhausted);
  error.details.push(
    { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason: "RATE_LIMITED" }) },
    { desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay: { seconds } }) },
  );
  return error;
}

test("a long list is sent in batches of 5,000, one after the other", async () => {
  const sizes: number[] = [];
  const run = runOf(someQueries(12_000), (queries) => {
    sizes.push(queries.length);
    return answerAll(queries);
  });

  await run.start();

  expect(sizes).toEqual([5_000, 5_000, 2_000]);
  expect(run.counts).toEqual({ total: 12_000, answered: 12_000, failed: 0 });
  expect(run.phase).toEqual({ kind: "done" });
});

test("answers are matched by their index, in any order; a VIN with another model year is another query", async () => {
  const vin = manyVins(1)[0] ?? "";
  const a = { vin, modelYear: undefined };
  const b = { vin, modelYear: 2014 };
  const run = runOf([a, b], async function* () {
    yield failure(1, Code.NotFound, "not known");
    yield vehicle(0);
  });

  await run.start();

  expect(run.outcomeOf(a).state).toBe("vehicle");
  expect(run.outcomeOf(b)).toMatchObject({ state: "failed", sentence: "Not known.", isTransient: false });
  expect(run.counts.failed).toBe(1);
});

test("a run waits for the rate limit, and sends only the missing rows again", async () => {
  const queries = someQueries(3);
  const sent: (readonly Query[])[] = [];
  const run = runOf(queries, async function* (batch) {
    sent.push(batch);
    if (sent.length === 1) {
      yield vehicle(0);
      throw rateLimited(7n);
    }
    yield* answerAll(batch);
  });

  await run.start();

  expect(pauses).toEqual([7_000]);
  expect(sent).toEqual([queries, queries.slice(1)]);
  expect(run.phase.kind).toBe("done");
});

test("rows that a broken stream left unanswered can be tried again, and the others are kept", async () => {
  const queries = someQueries(3);
  const sent: (readonly Query[])[] = [];
  const run = runOf(queries, async function* (batch) {
    sent.push(batch);
    yield vehicle(0);
    if (sent.length === 1) {
      throw new TypeError("network error");
    }
    yield* [vehicle(1)];
  });

  await run.start();
  const broken = run.phase;
  const counts = run.counts;
  await run.start();

  expect(broken).toMatchObject({ kind: "broken", failure: { kind: "transient" } });
  expect(counts).toEqual({ total: 3, answered: 3, failed: 2 });
  expect(sent[1]).toEqual(queries.slice(1));
  expect(run.counts).toEqual({ total: 3, answered: 3, failed: 0 });
});

test("a stream that ends early counts as failed, even without an error", async () => {
  const run = runOf(someQueries(2), async function* () {
    yield vehicle(0);
  });

  await run.start();

  expect(run.phase.kind).toBe("broken");
  expect(run.open).toHaveLength(1);
});

test("a missing token stops the run, and nothing counts as failed", async () => {
  const error = new ConnectError("no", Code.Unauthenticated);
  const run = runOf(someQueries(6_000), async function* () {
    yield await Promise.reject(error);
  });

  await run.start();

  expect(run.phase).toMatchObject({ kind: "broken", failure: { kind: "token" } });
  expect(run.counts).toEqual({ total: 6_000, answered: 0, failed: 0 });
});

test("a stopped run continues where it stopped", async () => {
  const queries = someQueries(3);
  const gate = Promise.withResolvers<void>();
  const run = runOf(queries, async function* (batch, signal) {
    yield vehicle(0);
    if (batch.length === 3) {
      gate.resolve();
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    }
    yield* batch.slice(1).map((_, index) => vehicle(index + 1));
  });
  const started = run.start();
  await gate.promise;

  run.stop();
  await started;
  const { phase, counts } = run;
  await run.start();

  expect([phase.kind, counts.answered]).toEqual(["stopped", 1]);
  expect(run.counts).toEqual({ total: 3, answered: 3, failed: 0 });
});

test("only transient failures are sent again", async () => {
  const queries = someQueries(2);
  const sent: (readonly Query[])[] = [];
  const run = runOf(queries, async function* (batch) {
    sent.push(batch);
    yield failure(0, sent.length === 1 ? Code.Unavailable : Code.NotFound, "no");
    yield* batch.slice(1).map((_, index) => failure(index + 1, Code.NotFound, "no"));
  });

  await run.start();
  await run.start();

  expect(sent).toEqual([queries, queries.slice(0, 1)]);
  expect(run.open).toEqual([]);
});

test("a vehicle that was not decoded clean is a problem too", () => {
  const problems = [[0], [0, 14], [1]].map((codes) =>
    isProblem({ state: "vehicle", vehicle: create(LookupResponseSchema, { verdict: { codes } }) }),
  );

  expect(problems).toEqual([false, false, true]);
});
