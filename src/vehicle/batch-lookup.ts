import type { CachedVehicle, VehicleQuery, View } from "./vehicle.ts";
import type { LookupRequest, LookupResult, PartListener, VehicleLookup } from "./vehicle-lookup.ts";

/** The queries of one batch, and the options for all of them. */
export interface BatchRequest {
  /** The number of queries. */
  readonly size: number;
  /** Returns the query at an index, from 0. An error that it throws becomes the answer at that index. */
  readonly queryAt: (index: number) => VehicleQuery;
  readonly view: View;
  readonly maxAgeMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal: AbortSignal;
  /** See {@link LookupRequest}. */
  readonly onPart?: PartListener | undefined;
}

/** A result, or the error that a Lookup would have thrown. */
type Outcome = { readonly result: LookupResult } | { readonly error: unknown };

/** The outcome of the query at an index. */
export type BatchAnswer = Outcome & { readonly index: number };

/** The number of rows after which other callers get their turn. */
const ROWS_PER_TURN = 100;
/** The number of queries per read from the cache. */
const READ_SIZE = 250;
/** Maximum number of decodes that run or wait for the caller to read them: two seconds of vPIC's usual budget. */
const WINDOW_SIZE = 500;

/**
 * Looks a batch up. Malformed queries and hits are answered first, the others as their sources answer. Equal queries
 * are decoded once and answered at each index.
 *
 * Work stays at most a window of decodes ahead of the reader. When the reader leaves, decodes that no other caller
 * waits for are stopped.
 */
export async function* lookupBatch(lookup: VehicleLookup, request: BatchRequest): AsyncGenerator<BatchAnswer> {
  let rows = 0;
  for await (const answer of answerEach(lookup, request)) {
    yield answer;
    rows++;
    if (rows % ROWS_PER_TURN === 0) {
      await othersTurn();
      request.signal.throwIfAborted();
    }
  }
}

async function* answerEach(lookup: VehicleLookup, request: BatchRequest): AsyncGenerator<BatchAnswer> {
  const reader = new AbortController();
  const signal = AbortSignal.any([request.signal, reader.signal]);
  const indexesByKey = new Map<string, number[]>();
  const requests: LookupRequest[] = [];
  for (let index = 0; index < request.size; index++) {
    const query = readQuery(request, index);
    if ("error" in query) {
      yield { index, error: query.error };
      continue;
    }
    const indexes = indexesByKey.get(keyOf(query));
    if (indexes === undefined) {
      indexesByKey.set(keyOf(query), [index]);
      const { view, maxAgeMs, timeoutMs, onPart } = request;
      requests.push({ query, view, maxAgeMs, timeoutMs, signal, keep: false, onPart });
    } else {
      indexes.push(index);
    }
  }

  try {
    for await (const [query, outcome] of lookupEach(lookup, requests)) {
      for (const index of indexesByKey.get(keyOf(query)) ?? []) {
        yield { index, ...outcome };
      }
    }
  } finally {
    reader.abort();
  }
}

function readQuery(request: BatchRequest, index: number): VehicleQuery | { readonly error: unknown } {
  try {
    return request.queryAt(index);
  } catch (error) {
    return { error };
  }
}

function keyOf({ vin, modelYear }: VehicleQuery): string {
  return `${vin} ${modelYear ?? ""}`;
}

async function* lookupEach(
  lookup: VehicleLookup,
  requests: readonly LookupRequest[],
): AsyncGenerator<readonly [VehicleQuery, Outcome]> {
  const misses: { readonly request: LookupRequest; readonly entry: CachedVehicle | undefined }[] = [];
  for (let start = 0; start < requests.length; start += READ_SIZE) {
    const chunk = requests.slice(start, start + READ_SIZE);
    const entries = await lookup.readCache(chunk);
    for (const [position, request] of chunk.entries()) {
      const entry = entries[position];
      const outcome = cachedOutcome(lookup, request, entry);
      if (outcome === undefined) {
        misses.push({ request, entry });
      } else {
        yield [request.query, outcome];
      }
    }
    await othersTurn();
  }
  yield* inWindow(misses, WINDOW_SIZE, async ({ request, entry }) => {
    const outcome = await decodedOutcome(lookup, request, entry);
    request.signal.throwIfAborted();
    return [request.query, outcome] as const;
  });
}

function cachedOutcome(
  lookup: VehicleLookup,
  request: LookupRequest,
  entry: CachedVehicle | undefined,
): Outcome | undefined {
  try {
    const result = lookup.fromCache(request, entry);
    return result === undefined ? undefined : { result };
  } catch (error) {
    return { error };
  }
}

async function decodedOutcome(
  lookup: VehicleLookup,
  request: LookupRequest,
  entry: CachedVehicle | undefined,
): Promise<Outcome> {
  try {
    return { result: await lookup.fromSources(request, entry) };
  } catch (error) {
    return { error };
  }
}

/**
 * Processes items concurrently and yields the results as they come.
 *
 * @param size maximum number of items that run or wait for the reader.
 * @throws the first error of `work`; the results of the others are dropped.
 */
async function* inWindow<T, R>(items: Iterable<T>, size: number, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  const waiting = items[Symbol.iterator]();
  const done: PromiseSettledResult<R>[] = [];
  let underWay = 0;
  let wake = (): void => undefined;

  function finish(result: PromiseSettledResult<R>): void {
    done.push(result);
    wake();
  }

  function startNext(): void {
    const next = waiting.next();
    if (next.done !== true) {
      underWay++;
      work(next.value).then(
        (value) => finish({ status: "fulfilled", value }),
        (reason: unknown) => finish({ status: "rejected", reason }),
      );
    }
  }

  for (let started = 0; started < size; started++) {
    startNext();
  }
  while (underWay > 0) {
    const result = done.shift();
    if (result === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    underWay--;
    if (result.status === "rejected") {
      throw result.reason;
    }
    yield result.value;
    // Only now, because a result counts until the reader has taken it.
    startNext();
  }
}

/** Lets the event loop run everything else that is due. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
