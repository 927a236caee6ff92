import type { CachedVehicle, View } from "./vehicle.ts";
import type { LookupRequest, LookupResult, VehicleLookup } from "./vehicle-lookup.ts";
import type { Vin } from "./vin.ts";
import { parseVin } from "./vin.ts";
import { inWindow } from "./window.ts";

/** The VINs of one batch, and the terms that hold for all of them. */
export interface BatchRequest {
  /** As the caller sent them. */
  readonly vins: readonly string[];
  readonly view: View;
  readonly maxAgeMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal: AbortSignal;
}

/** What became of one VIN: a result, or the error that a Lookup would have thrown. */
type Outcome = { readonly result: LookupResult } | { readonly error: unknown };

/** The outcome for the VIN at an index. */
export type BatchAnswer = Outcome & { readonly index: number };

/** After how many rows other callers get their turn. */
const ROWS_PER_TURN = 100;
/** How many VINs are read from the cache at once. */
const READ_SIZE = 250;
/** How many decodes are under way, or done and not yet read by the caller: two seconds of vPIC's usual budget. */
const WINDOW_SIZE = 500;

/**
 * Looks a batch up. Malformed VINs and hits are answered first, the others as their sources deliver. A VIN that stands
 * more than once is decoded once and answered at each index.
 *
 * A slow reader holds the work up: no more than a window of decodes goes ahead of it. A reader that leaves ends the
 * work that nobody else waits for.
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
  const indexesByVin = new Map<Vin, number[]>();
  for (const [index, text] of request.vins.entries()) {
    const parsed = parseRow(text, index);
    if ("error" in parsed) {
      yield parsed;
    } else {
      const indexes = indexesByVin.get(parsed.vin) ?? [];
      indexes.push(index);
      indexesByVin.set(parsed.vin, indexes);
    }
  }

  const reader = new AbortController();
  const signal = AbortSignal.any([request.signal, reader.signal]);
  const toLookupRequest = (vin: Vin): LookupRequest => ({
    query: { vin },
    view: request.view,
    maxAgeMs: request.maxAgeMs,
    timeoutMs: request.timeoutMs,
    signal,
    keep: false,
  });
  try {
    for await (const [vin, outcome] of lookupEach(lookup, [...indexesByVin.keys()].map(toLookupRequest))) {
      for (const index of indexesByVin.get(vin) ?? []) {
        yield { index, ...outcome };
      }
    }
  } finally {
    reader.abort();
  }
}

function parseRow(
  text: string,
  index: number,
): { readonly vin: Vin } | { readonly index: number; readonly error: unknown } {
  try {
    return { vin: parseVin(text, `vins[${index}]`) };
  } catch (error) {
    return { index, error };
  }
}

async function* lookupEach(
  lookup: VehicleLookup,
  requests: readonly LookupRequest[],
): AsyncGenerator<readonly [Vin, Outcome]> {
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
        yield [request.query.vin, outcome];
      }
    }
    await othersTurn();
  }
  yield* inWindow(misses, WINDOW_SIZE, async ({ request, entry }) => {
    const outcome = await decodedOutcome(lookup, request, entry);
    request.signal.throwIfAborted();
    return [request.query.vin, outcome] as const;
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

/** Lets whatever else waits for the event loop run first. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
