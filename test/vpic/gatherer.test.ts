import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SourceUnavailableError } from "../../src/vehicle/errors.ts";
import type { Decode, VehicleQuery } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { Batch, Question } from "../../src/vpic/gatherer.ts";
import { Gatherer } from "../../src/vpic/gatherer.ts";
import { VpicError } from "../../src/vpic/vpic-error.ts";
import { never, toVins } from "./vins.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A vPIC whose answers the test triggers. */
class Asked {
  readonly batches: Batch[] = [];
  readonly #ends: PromiseWithResolvers<undefined>[] = [];
  /** Whether a request is sent at once; otherwise it waits for its turn. */
  isSentAtOnce = true;

  readonly ask = async (batch: Batch): Promise<void> => {
    if (this.isSentAtOnce) {
      batch.markSent();
    }
    this.batches.push(batch);
    const end = Promise.withResolvers<undefined>();
    this.#ends.push(end);
    await end.promise;
  };

  get sizes(): number[] {
    return this.batches.map(({ openQuestions }) => openQuestions.length);
  }

  answer(index: number): void {
    for (const question of this.batches[index]?.openQuestions ?? []) {
      question.resolve(toDecode(question.query));
    }
    this.#ends[index]?.resolve(undefined);
  }

  fail(index: number, error: Error): void {
    this.#ends[index]?.reject(error);
  }
}

function toDecode({ vin }: VehicleQuery): Decode {
  const verdict = { codes: [0], text: "", suggestedVin: "", possibleValues: "", additionalText: "" };
  const texts = { make: "M", model: "", modelYear: "", bodyClass: "" };
  return { vin, ...texts, source: "vpic", decodedAt: 0, verdict, attributes: {} };
}

function toQuestions(count: number): readonly Question[] {
  return toVins(count).map((vin) => new Question({ vin }, never()));
}

function submitAll(gatherer: Gatherer, questions: readonly Question[]): void {
  for (const question of questions) {
    gatherer.submit(question);
  }
}

test("the first question is sent at once and alone, the others together after 50 ms", async () => {
  const asked = new Asked();
  using gatherer = new Gatherer(asked.ask);

  submitAll(gatherer, toQuestions(4));
  const atOnce = asked.sizes;
  await vi.advanceTimersByTimeAsync(49);
  const before = asked.sizes;
  await vi.advanceTimersByTimeAsync(1);

  expect([atOnce, before, asked.sizes]).toEqual([[1], [1], [1, 3]]);
  expect(vi.getTimerCount()).toBe(0);
});

test("50 are sent at once, and the oldest of the rest waits no longer than 50 ms", async () => {
  const asked = new Asked();
  using gatherer = new Gatherer(asked.ask);

  submitAll(gatherer, toQuestions(111));
  const atOnce = asked.sizes;
  await vi.advanceTimersByTimeAsync(50);

  expect([atOnce, asked.sizes]).toEqual([
    [1, 50, 50],
    [1, 50, 50, 10],
  ]);
});

test("a question that comes when all others are answered is sent at once", async () => {
  const asked = new Asked();
  using gatherer = new Gatherer(asked.ask);
  const [first, second] = toQuestions(2);
  submitAll(gatherer, first === undefined ? [] : [first]);
  asked.answer(0);
  await first?.answer;

  submitAll(gatherer, second === undefined ? [] : [second]);

  expect(asked.batches).toHaveLength(2);
});

test("a request that waits for its turn is filled before another is made", async () => {
  const asked = new Asked();
  asked.isSentAtOnce = false;
  using gatherer = new Gatherer(asked.ask);
  const questions = toQuestions(80);

  for (const question of questions) {
    gatherer.submit(question);
    await vi.advanceTimersByTimeAsync(25);
  }
  await vi.advanceTimersByTimeAsync(50);

  expect(asked.sizes).toEqual([1, 50, 29]);
});

test("one VIN with two model years is sent in two requests", async () => {
  const asked = new Asked();
  using gatherer = new Gatherer(asked.ask);
  const [first, vin = parseVin("")] = toVins(2);
  const queries = [{ vin: first ?? vin }, { vin }, { vin, modelYear: 2011 }, { vin, modelYear: 2012 }];

  submitAll(
    gatherer,
    queries.map((query) => new Question(query, never())),
  );
  await vi.advanceTimersByTimeAsync(50);

  const years = asked.batches.map(({ openQuestions }) => openQuestions.map(({ query }) => query.modelYear));
  expect(years).toEqual([[undefined], [undefined], [2011], [2012]]);
});

test("a request that fails makes the source unavailable for the questions without an answer", async () => {
  const asked = new Asked();
  using gatherer = new Gatherer(asked.ask);
  const questions = toQuestions(3);
  submitAll(gatherer, questions);
  await vi.advanceTimersByTimeAsync(50);
  const [, second] = questions;
  second?.resolve(toDecode(second.query));

  asked.fail(0, new SourceUnavailableError("busy", { retryAfterMs: 7 }));
  asked.fail(1, new VpicError("status", "throttled", { status: 429, retryAfterMs: 2_000 }));
  const outcomes = await Promise.allSettled(questions.map(({ answer }) => answer));

  expect(outcomes).toMatchObject([
    { status: "rejected", reason: { name: "SourceUnavailableError", retryAfterMs: 7 } },
    { status: "fulfilled" },
    { status: "rejected", reason: { name: "SourceUnavailableError", cause: { status: 429 }, retryAfterMs: 2_000 } },
  ]);
});

test("a VIN whose caller leaves while it is gathered is not sent", async () => {
  const asked = new Asked();
  using gatherer = new Gatherer(asked.ask);
  const caller = new AbortController();
  const [first = parseVin(""), second = first, third = first] = toVins(3);
  const leaving = new Question({ vin: second }, caller.signal);
  submitAll(gatherer, [new Question({ vin: first }, never()), leaving, new Question({ vin: third }, never())]);

  caller.abort(new Error("gone"));
  await expect(leaving.answer).rejects.toThrow("gone");
  await vi.advanceTimersByTimeAsync(50);

  expect(asked.batches[1]?.openQuestions.map(({ query }) => query.vin)).toEqual([third]);
});

test("nothing is sent when all callers have left", async () => {
  const asked = new Asked();
  using gatherer = new Gatherer(asked.ask);
  const caller = new AbortController();
  const [first = parseVin(""), second = first] = toVins(2);
  submitAll(gatherer, [new Question({ vin: first }, never()), new Question({ vin: second }, caller.signal)]);

  caller.abort(new Error("gone"));
  await vi.advanceTimersByTimeAsync(50);

  expect(asked.batches).toHaveLength(1);
});

test("a request is abandoned when all its callers have left, and not before", () => {
  const callers = [new AbortController(), new AbortController()];
  const vins = toVins(2);
  const batch = new Batch();
  const questions = callers.map(({ signal }, index) => new Question({ vin: vins[index] ?? parseVin("") }, signal));
  for (const question of questions) {
    batch.offer(question);
  }

  callers[0]?.abort(new Error("gone"));
  const before = batch.abandoned.aborted;
  callers[1]?.abort(new Error("gone"));

  expect([before, batch.abandoned.aborted]).toEqual([false, true]);
});

test("after closing every question is rejected as unavailable, and no timer is left", async () => {
  const asked = new Asked();
  const gatherer = new Gatherer(asked.ask);
  const [waiting = expect.fail(), late = expect.fail()] = toQuestions(4).slice(2);
  submitAll(gatherer, [...toQuestions(2), waiting]);

  gatherer[Symbol.dispose]();
  gatherer.submit(late);

  await expect(waiting.answer).rejects.toBeInstanceOf(SourceUnavailableError);
  await expect(late.answer).rejects.toBeInstanceOf(SourceUnavailableError);
  expect(vi.getTimerCount()).toBe(0);
});

test("a batch splits into halves with its open questions, and one question does not split", () => {
  const questions = toQuestions(4);
  const batch = new Batch();
  for (const question of questions) {
    batch.offer(question);
  }
  questions[0]?.reject(new Error("answered"));

  const halves = batch.split();

  expect(halves?.map(({ openVins }) => openVins)).toEqual([
    questions.slice(1, 3).map(({ query }) => query.vin),
    questions.slice(3).map(({ query }) => query.vin),
  ]);
  expect(halves?.[1]?.split()).toBeUndefined();
});
