import { setImmediate as nextTurn } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { ReadQueue } from "../../src/cache/read-queue.ts";

let queries: { readonly keys: readonly number[]; readonly answer: PromiseWithResolvers<void> }[];
let queue: ReadQueue<number, string>;

beforeEach(() => {
  queries = [];
  queue = new ReadQueue({
    maxKeys: 3,
    maxRunning: 1,
    read: async (keys) => {
      const answer = Promise.withResolvers<void>();
      queries.push({ keys, answer });
      await answer.promise;
      return keys.map((key) => `row ${key}`);
    },
  });
});

describe("reads of one turn", () => {
  test("become one query, and each gets its own row", async () => {
    const reads = [1, 2, 3].map((key) => queue.read(key));
    await nextTurn();
    queries[0]?.answer.resolve();

    expect(await Promise.all(reads)).toEqual(["row 1", "row 2", "row 3"]);
    expect(queries.map(({ keys }) => keys)).toEqual([[1, 2, 3]]);
  });

  test("beyond the limits gather for the next queries", async () => {
    const reads = [1, 2, 3, 4].map((key) => queue.read(key));
    await nextTurn();
    reads.push(queue.read(5));
    await nextTurn();
    const atFirst = queries.map(({ keys }) => keys);
    queries[0]?.answer.resolve();
    await reads[0];
    await nextTurn();
    queries[1]?.answer.resolve();
    await Promise.all(reads);

    expect([atFirst, queries.map(({ keys }) => keys)]).toEqual([
      [[1, 2, 3]],
      [
        [1, 2, 3],
        [4, 5],
      ],
    ]);
  });

  test("fail with the query, and so do those that wait behind it", async () => {
    const reads = [1, 2, 3, 4].map((key) => queue.read(key).catch((error: Error) => error.message));
    await nextTurn();
    queries[0]?.answer.reject(new Error("no answer"));

    expect(await Promise.all(reads)).toEqual(reads.map(() => "no answer"));
    expect(queries).toHaveLength(1);
  });
});
