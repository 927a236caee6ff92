import { NoSourceAvailableError, SourceUnavailableError, VinNotDecodedError } from "./errors.ts";
import type { Fleet } from "./fleet.ts";
import { judgeFreshness } from "./freshness.ts";
import type { Freshness, FreshnessPolicy } from "./freshness.ts";
import { SingleFlight } from "./single-flight.ts";
import type { CachedVehicle, Decode, SourceName, VehicleQuery, VehicleSource, VehicleStore, View } from "./vehicle.ts";
import { isDecoded } from "./vehicle.ts";
import type { Vin } from "./vin.ts";

/** A part that a caller waits for. */
export type LookupPart = "cache" | SourceName;

/**
 * @param startedAt when the part began, in ms on the monotonic clock.
 * @param error why it had no answer; undefined when it had one, or the caller's patience ended.
 */
export type PartListener = (part: LookupPart, startedAt: number, error?: unknown) => void;

/** A query and the caller's conditions. */
export interface LookupRequest {
  readonly query: VehicleQuery;
  readonly view: View;
  /** The greatest age of a cached answer; see `judgeFreshness`. */
  readonly maxAgeMs?: number | undefined;
  /** How long the caller waits, in ms. Default: no limit. */
  readonly timeoutMs?: number | undefined;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** Whether the decode continues when the caller has gone. Default: true. */
  readonly keep?: boolean | undefined;
  /** Called when the caller has waited for a part. Default: nothing. */
  onPart?: PartListener | undefined;
}

/** A vehicle and where it came from. */
export interface LookupResult {
  readonly vehicle: CachedVehicle;
  /** Whether it came from the cache. */
  readonly cached: boolean;
  /** Whether it is too old, and returned because vPIC could not answer. */
  readonly stale: boolean;
}

/** The parts of a {@link VehicleLookup}. */
export interface VehicleLookupOptions {
  readonly store: VehicleStore;
  /** In order of preference. */
  readonly sources: readonly VehicleSource[];
  readonly freshness: FreshnessPolicy;
  /** Lets one process at a time ask vPIC for a VIN. Default: this process is alone. */
  readonly fleet?: Pick<Fleet, "lease"> | undefined;
  /** How long a caller waits for vPIC before the next source is asked, in ms. */
  readonly patienceMs: number;
  /** Called when a source cannot answer. */
  readonly onSourceFault: (source: VehicleSource, error: unknown) => void;
  /** Wall clock, ms since the epoch. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** How long a caller waits for vPIC when it is the last source. */
const LONGEST_PATIENCE_MS = 9_000;
/** The maximum delay of a timer. */
const LONGEST_TIMER_MS = 2_147_483_647;
/** The part of the caller's time reserved for sending the answer; at most a quarter of it. */
const ANSWER_MARGIN_MS = 100;
/** The pause after a failed background refresh. */
const REFRESH_PAUSE_MS = 1_000;
/** Maximum number of VINs with a pause. */
const MAX_PAUSED_VINS = 1_000;
/** When callers should retry, unless a source says so. */
const DEFAULT_RETRY_AFTER_MS = 5_000;

/**
 * Looks vehicles up: first in the cache, then from the sources in order, with one decode per key at a time.
 *
 * Every answer of a source is stored, even if its caller has gone or the next source has already answered.
 */
export class VehicleLookup {
  readonly #options: VehicleLookupOptions;
  readonly #now: () => number;
  readonly #flights = new SingleFlight<string, Decode>();
  /** When the next refresh of a VIN is allowed, on the monotonic clock. The oldest failure comes first. */
  readonly #noRefreshBefore = new Map<Vin, number>();

  constructor(options: VehicleLookupOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * A result that is ready, a fresh hit on SQLite, is not wrapped in a promise.
   *
   * @throws VinNotDecodedError when no source knows make, model or year; NoSourceAvailableError when nothing is cached
   *   and no source can answer now; the reason of the request's signal when aborted.
   */
  lookup(request: LookupRequest): LookupResult | Promise<LookupResult> {
    const startedAt = performance.now();
    const found = this.#options.store.find(request.query, request.view);
    return found instanceof Promise
      ? found.then((entry) => this.#answer(request, entry, startedAt))
      : this.#answer(request, found, startedAt);
  }

  /** Removes the VIN's entries from the cache; returns whether there were any. */
  remove(vin: Vin): Promise<boolean> {
    return this.#options.store.remove(vin);
  }

  /** The cache's entries for the requests, in their order. All requests have the same view. */
  async readCache(requests: readonly LookupRequest[]): Promise<(CachedVehicle | undefined)[]> {
    const queries = requests.map((request) => request.query);
    const startedAt = performance.now();
    const entries = await this.#options.store.findMany(queries, requests[0]?.view ?? "basic");
    requests[0]?.onPart?.("cache", startedAt);
    return queries.map((query, index) => ofSameVin(query, entries[index]));
  }

  /** The answer from the entry, or undefined when it is not fresh enough. */
  fromCache(request: LookupRequest, entry: CachedVehicle | undefined): LookupResult | undefined {
    if (entry === undefined || this.#judge(request, entry) !== "fresh") {
      return undefined;
    }
    if (entry.source === "snapshot") {
      this.#refresh(request.query, entry);
    }
    return toResult(request.query, entry, { cached: true, stale: false });
  }

  /** The answer of the first source that has one. A stale entry ranks before the snapshot. */
  async fromSources(request: LookupRequest, entry: CachedVehicle | undefined): Promise<LookupResult> {
    const isStale = entry !== undefined && this.#judge(request, entry) === "stale";
    const faults: unknown[] = [];
    let undecoded: Decode | undefined;
    for (const source of this.#options.sources) {
      if (isStale && source.name === "snapshot") {
        continue;
      }
      const decode = await this.#tryToAsk(source, request, entry, faults);
      if (decode !== undefined && (isDecoded(decode) || source.name === "vpic")) {
        return toResult(request.query, decode, { cached: false, stale: false });
      }
      undecoded ??= decode;
    }
    if (isStale) {
      return toResult(request.query, entry, { cached: true, stale: true });
    }
    if (undecoded !== undefined) {
      return toResult(request.query, undecoded, { cached: false, stale: false });
    }
    throw new NoSourceAvailableError(soonestRetry(faults), { cause: new AggregateError(faults) });
  }

  #answer(
    request: LookupRequest,
    found: CachedVehicle | undefined,
    startedAt: number,
  ): LookupResult | Promise<LookupResult> {
    request.onPart?.("cache", startedAt);
    const entry = ofSameVin(request.query, found);
    return this.fromCache(request, entry) ?? this.fromSources(request, entry);
  }

  #judge(request: LookupRequest, entry: CachedVehicle): Freshness {
    return judgeFreshness(entry, this.#options.freshness, this.#now(), request.maxAgeMs);
  }

  async #tryToAsk(
    source: VehicleSource,
    request: LookupRequest,
    known: CachedVehicle | undefined,
    faults: unknown[],
  ): Promise<Decode | undefined> {
    const patienceMs = this.#patienceFor(source, request.timeoutMs);
    const startedAt = performance.now();
    try {
      const question = this.#ask(source, request, known);
      const decode = await withinPatience(question, patienceMs);
      request.onPart?.(source.name, startedAt);

      return decode;
    } catch (error) {
      request.onPart?.(source.name, startedAt, error);
      request.signal.throwIfAborted();
      this.#options.onSourceFault(source, error);
      faults.push(error);
      return undefined;
    }
  }

  /** @param known the entry of the cache, if there is one. */
  #ask(
    source: VehicleSource,
    { query, signal, keep = true }: Pick<LookupRequest, "query" | "signal" | "keep">,
    known: CachedVehicle | undefined,
  ): Promise<Decode> {
    const start = (flightSignal: AbortSignal): Promise<Decode> =>
      source.name === "vpic" && this.#options.fleet !== undefined
        ? this.#askAlone(this.#options.fleet, source, query, known, flightSignal)
        : this.#decodeAndStore(source, query, flightSignal);
    return this.#flights.join(`${source.name} ${query.vin} ${query.modelYear ?? ""}`, start, signal, { keep });
  }

  /** Asks when no other process asks. If another one has stored an answer since the cache was read, returns that. */
  async #askAlone(
    fleet: Pick<Fleet, "lease">,
    source: VehicleSource,
    query: VehicleQuery,
    known: CachedVehicle | undefined,
    signal: AbortSignal,
  ): Promise<Decode> {
    const refusal = source.refusalOf?.(query.vin);
    if (refusal !== undefined) {
      throw refusal;
    }
    const release = await fleet.lease(query.vin, signal);
    try {
      const stored = ofSameVin(query, await this.#options.store.find(query, "full"));
      const isNew = stored?.source === "vpic" && stored.decodedAt !== known?.decodedAt;
      return isNew && isWhole(stored) ? stored : await this.#decodeAndStore(source, query, signal);
    } finally {
      release();
    }
  }

  async #decodeAndStore(source: VehicleSource, query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    const removals = await this.#options.store.removalsOf(query.vin);
    const decode = await source.decode(query, signal);
    if (decode.vin !== query.vin) {
      throw new Error("the source answered for another VIN");
    }
    await this.#options.store.put(query, decode, removals);
    return decode;
  }

  #patienceFor(source: VehicleSource, timeoutMs = LONGEST_TIMER_MS): number {
    const isLast = source === this.#options.sources.at(-1);
    const untilDeadlineMs = timeoutMs - Math.min(ANSWER_MARGIN_MS, timeoutMs / 4);
    if (source.name === "snapshot") {
      return untilDeadlineMs;
    }
    return Math.min(isLast ? LONGEST_PATIENCE_MS : this.#options.patienceMs, untilDeadlineMs);
  }

  /** Decodes in the background with the sources that rank before the snapshot. */
  #refresh(query: VehicleQuery, known: CachedVehicle): void {
    const [first] = this.#options.sources;
    const isPaused = performance.now() < (this.#noRefreshBefore.get(query.vin) ?? 0);
    if (first === undefined || first.name === "snapshot" || isPaused) {
      return;
    }
    this.#ask(first, { query, signal: NEVER }, known).catch((error: unknown) => {
      this.#pauseRefreshOf(query.vin);
      this.#options.onSourceFault(first, error);
    });
  }

  #pauseRefreshOf(vin: Vin): void {
    this.#noRefreshBefore.delete(vin);
    this.#noRefreshBefore.set(vin, performance.now() + REFRESH_PAUSE_MS);
    const [oldest = vin] = this.#noRefreshBefore.keys();
    if (this.#noRefreshBefore.size > MAX_PAUSED_VINS) {
      this.#noRefreshBefore.delete(oldest);
    }
  }
}

function isWhole(entry: CachedVehicle): entry is Decode {
  return entry.attributes !== undefined;
}

const NEVER = new AbortController().signal;

/** The entry if it is for this VIN. A store that returns another VIN's entry has a bug; callers get a miss. */
function ofSameVin(query: VehicleQuery, entry: CachedVehicle | undefined): CachedVehicle | undefined {
  return entry?.vin === query.vin ? entry : undefined;
}

function toResult(
  query: VehicleQuery,
  vehicle: CachedVehicle,
  how: { readonly cached: boolean; readonly stale: boolean },
): LookupResult {
  if (!isDecoded(vehicle)) {
    throw new VinNotDecodedError(query.vin, vehicle.verdict, vehicle.likelyVin);
  }
  return { vehicle, ...how };
}

/**
 * Waits for `promise`, but no longer than `patienceMs`. The promise continues and may safely reject later.
 *
 * @returns undefined when the time is up first.
 */
async function withinPatience<T>(promise: Promise<T>, patienceMs: number): Promise<T | undefined> {
  const patience = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => patience.resolve(undefined), Math.max(0, patienceMs));
  try {
    return await Promise.race([promise, patience.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function soonestRetry(faults: readonly unknown[]): number {
  const known = faults.flatMap((fault) =>
    fault instanceof SourceUnavailableError && fault.retryAfterMs !== undefined ? [fault.retryAfterMs] : [],
  );
  return known.length === 0 ? DEFAULT_RETRY_AFTER_MS : Math.min(...known);
}
