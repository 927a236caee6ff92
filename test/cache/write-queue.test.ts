import { expect, test } from "vitest";
import { type WriteBatch, type WriteOutcome, WriteQueue } from "../../src/cache/write-queue.ts";
import { currentRequestId, onBehalfOf } from "../../src/telemetry/request-context.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { decodeOf, someVins } from "../support/vehicle-samples.ts";

const VIN = parseVin("1XPWD40X1ED215307");

function putOf(vin = VIN) {
  return { query: { vin }, decode: decodeOf(vin), removals: 1 };
}

/** A queue whose commits succeed at once, and the batches that it committed. */
function recordingQueue(): { readonly queue: WriteQueue; readonly batches: WriteBatch[] } {
  const batches: WriteBatch[] = [];
  const commit = async (batch: WriteBatch): Promise<WriteOutcome> => {
    batches.push(batch);
    return { stored: batch.puts.map(() => true), removed: batch.removals.map(() => true) };
  };
  return { queue: new WriteQueue({ commit, timeoutMs: 10_000 }), batches };
}

test("writes of one turn are committed together", async () => {
  const { queue, batches } = recordingQueue();
  const [first = VIN, second = VIN, third = VIN] = someVins(3);

  const answers = await Promise.all([queue.put(putOf(first)), queue.remove(second), queue.put(putOf(third))]);

  expect(answers).toEqual([true, true, true]);
  expect(batches).toEqual([{ puts: [putOf(first), putOf(third)], removals: [second] }]);
});

test("no more than 200 rows are committed together", async () => {
  const { queue, batches } = recordingQueue();

  await Promise.all(someVins(450).map((vin) => queue.put(putOf(vin))));

  expect(batches.map(({ puts }) => puts.length)).toEqual([200, 200, 50]);
});

test("a key that is put twice, or a VIN that is removed twice, is left for the next batch", async () => {
  const { queue, batches } = recordingQueue();

  await Promise.all([queue.put(putOf()), queue.remove(VIN), queue.remove(VIN), queue.put(putOf())]);

  expect(batches.map(({ puts, removals }) => [puts.length, removals.length])).toEqual([
    [1, 1],
    [1, 1],
  ]);
});

test("each write gets its own result", async () => {
  const queue = new WriteQueue({
    commit: async () => ({ stored: [false, true], removed: [true, false] }),
    timeoutMs: 10_000,
  });
  const [first = VIN, second = VIN] = someVins(2);

  const answers = await Promise.all([
    queue.put(putOf(first)),
    queue.remove(first),
    queue.put(putOf(second)),
    queue.remove(second),
  ]);

  expect(answers).toEqual([false, true, true, false]);
});

test("a failed commit fails its own writes, but no later ones", async () => {
  const failures = [new Error("disk full")];
  const queue = new WriteQueue({
    commit: async ({ puts }) => {
      const failure = failures.shift();
      if (failure !== undefined) {
        throw failure;
      }
      return { stored: puts.map(() => true), removed: [] };
    },
    timeoutMs: 10_000,
  });

  const failed = await Promise.allSettled([queue.put(putOf()), queue.remove(VIN)]);
  const later = await queue.put(putOf());

  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(later).toBe(true);
});

test("while a commit hangs, all puts fail and removals wait", async () => {
  const committing = Promise.withResolvers<void>();
  const queue = new WriteQueue({
    commit: async ({ removals }) => {
      await committing.promise;
      return { stored: [], removed: removals.map(() => true) };
    },
    timeoutMs: 1,
  });
  const puts = someVins(300).map((vin) => queue.put(putOf(vin)));
  const removal = queue.remove(VIN);

  const given = await Promise.allSettled(puts);
  committing.resolve();

  expect(given.filter(({ status }) => status === "fulfilled")).toEqual([]);
  expect(await removal).toBe(true);
});

test("each caller continues with its own request id", async () => {
  const { queue } = recordingQueue();
  const ids = Array.from({ length: 5 }, (_, index) => `request ${index}`);

  const seen = await Promise.all(
    ids.map((id, index) =>
      onBehalfOf(id, async () => {
        await queue.put(putOf(someVins(5)[index]));
        return currentRequestId();
      }),
    ),
  );

  expect(seen).toEqual(ids);
});
