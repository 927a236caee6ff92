import { NoSourceAvailableError, SourceUnavailableError, VinNotDecodedError } from "./errors.ts";
import { judgeFreshness } from "./freshness.ts";
import type { Freshness, FreshnessPolicy } from "./freshness.ts";
import { timedOut, withinPatience } from "./patience.ts";
import { SingleFlight } from "./single-flight.ts";
import type { CachedVehicle, Decode, VehicleQuery, VehicleSource, VehicleStore, View } from "./vehicle.ts";
import { isDecoded } from "./vehicle.ts";
import type { Vin } from "./vin.ts";

/** What a caller asks for, and under which terms. */
export interface LookupRequest {
  readonly query: VehicleQuery;
  readonly view: View;
  /** The greatest age of a cached answer; see `judgeFreshness`. */
  readonly maxAgeMs?: number | undefined;
  /** How long the caller waits at most; no limit when left out. */
  readonly timeoutMs?: number | undefined;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
  /** Whether the decode goes on when the caller has gone. Default true; false for work that is one of many. */
  readonly keep?: boolean | undefined;
}

/** A vehicle, and how it was come by. */
export interface LookupResult {
  readonly vehicle: CachedVehicle;
  /** Whether it came from the cache. */
  readonly cached: boolean;
  /** Whether it is older than it should be, and given because vPIC could not answer. */
  readonly stale: boolean;
}

/** What a {@link VehicleLookup} is made of. */
export interface VehicleLookupOptions {
  readonly store: VehicleStore;
  /** Who is asked, in this order. */
  readonly sources: readonly VehicleSource[];
  readonly freshness: FreshnessPolicy;
  /** How long a caller waits for vPIC before the next source is asked, in ms. */
  readonly patienceMs: number;
  /** Told of a source that cannot answer. */
  readonly onSourceFault: (source: VehicleSource, error: unknown) => void;
  /** Wall clock, ms since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** How long a caller waits for vPIC when no other source follows. */
const LONGEST_PATIENCE_MS = 9_000;
/** The longest time that a timer can be set for. */
const LONGEST_TIMER_MS = 2_147_483_647;
/** What is kept of the caller's deadline for the answer to be given in; a quarter of it when that is less. */
const ANSWER_MARGIN_MS = 100;
/** After a background refresh failed, none is tried for this long. */
const REFRESH_PAUSE_MS = 1_000;
/** When to come again, if no source said so. */
const DEFAULT_RETRY_AFTER_MS = 5_000;

/**
 * Looks vehicles up: the cache first, then the sources in their order, with one question per key at a time.
 *
 * Whatever a source answers is stored, also when its caller has gone or was answered by the next source meanwhile.
 */
export class VehicleLookup {
  readonly #options: VehicleLookupOptions;
  readonly #now: () => number;
  readonly #flights = new SingleFlight<string, Decode>();
  #noRefreshBefore = 0;

  constructor(options: VehicleLookupOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * @throws VinNotDecodedError when no source knows make, model or year; NoSourceAvailableError when nothing can be
   *   given now; the reason of the request's signal when aborted.
   */
  async lookup(request: LookupRequest): Promise<LookupResult> {
    const entry = await this.#options.store.find(request.query, request.view);
    return this.fromCache(request, entry) ?? this.fromSources(request, entry);
  }

  /** Removes what the cache holds of the VIN; says whether there was something. */
  remove(vin: Vin): Promise<boolean> {
    return this.#options.store.remove(vin);
  }

  /** The entries that the requests ask for, in their order; all requests want the same view. */
  readCache(requests: readonly LookupRequest[]): Promise<(CachedVehicle | undefined)[]> {
    const queries = requests.map((request) => request.query);
    return this.#options.store.findMany(queries, requests[0]?.view ?? "basic");
  }

  /** The answer that the entry gives, or undefined when it is not fresh enough. */
  fromCache(request: LookupRequest, entry: CachedVehicle | undefined): LookupResult | undefined {
    if (entry === undefined || this.#judge(request, entry) !== "fresh") {
      return undefined;
    }
    if (entry.source === "snapshot") {
      this.#refresh(request.query);
    }
    return toResult(request.query, entry, { cached: true, stale: false });
  }

  /** The answer of the first source that gives one, or the entry when it is better than what is left to ask. */
  async fromSources(request: LookupRequest, entry: CachedVehicle | undefined): Promise<LookupResult> {
    const isStale = entry !== undefined && this.#judge(request, entry) === "stale";
    const faults: unknown[] = [];
    let undecoded: Decode | undefined;
    for (const source of this.#options.sources) {
      if (isStale && source.name === "snapshot") {
        continue;
      }
      const decode = await this.#tryToAsk(source, request, faults);
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

  #judge(request: LookupRequest, entry: CachedVehicle): Freshness {
    return judgeFreshness(entry, this.#options.freshness, this.#now(), request.maxAgeMs);
  }

  async #tryToAsk(source: VehicleSource, request: LookupRequest, faults: unknown[]): Promise<Decode | undefined> {
    const patienceMs = this.#patienceFor(source, request.timeoutMs);
    try {
      const question = this.#ask(source, request.query, request.signal, request.keep ?? true);
      const decode = await withinPatience(question, patienceMs);
      return decode === timedOut ? undefined : decode;
    } catch (error) {
      request.signal.throwIfAborted();
      this.#options.onSourceFault(source, error);
      faults.push(error);
      return undefined;
    }
  }

  #ask(source: VehicleSource, query: VehicleQuery, signal: AbortSignal, keep: boolean): Promise<Decode> {
    const decodeAndStore = async (flightSignal: AbortSignal): Promise<Decode> => {
      const removals = await this.#options.store.removalsOf(query.vin);
      const decode = await source.decode(query, flightSignal);
      await this.#options.store.put(query, decode, removals);
      return decode;
    };
    return this.#flights.join(`${source.name} ${query.vin} ${query.modelYear ?? ""}`, decodeAndStore, signal, { keep });
  }

  #patienceFor(source: VehicleSource, timeoutMs = LONGEST_TIMER_MS): number {
    const isLast = source === this.#options.sources.at(-1);
    const untilDeadlineMs = timeoutMs - Math.min(ANSWER_MARGIN_MS, timeoutMs / 4);
    if (source.name === "snapshot") {
      return untilDeadlineMs;
    }
    return Math.min(isLast ? LONGEST_PATIENCE_MS : this.#options.patienceMs, untilDeadlineMs);
  }

  /** Asks, in the background, the sources that rank before the snapshot. */
  #refresh(query: VehicleQuery): void {
    const [first] = this.#options.sources;
    if (first === undefined || first.name === "snapshot" || performance.now() < this.#noRefreshBefore) {
      return;
    }
    this.#ask(first, query, NEVER, true).catch((error: unknown) => {
      this.#noRefreshBefore = performance.now() + REFRESH_PAUSE_MS;
      this.#options.onSourceFault(first, error);
    });
  }
}

const NEVER = new AbortController().signal;

function toResult(
  query: VehicleQuery,
  vehicle: CachedVehicle,
  how: { readonly cached: boolean; readonly stale: boolean },
): LookupResult {
  if (!isDecoded(vehicle)) {
    throw new VinNotDecodedError(query, vehicle.verdict);
  }
  return { vehicle, ...how };
}

function soonestRetry(faults: readonly unknown[]): number {
  const known = faults.flatMap((fault) =>
    fault instanceof SourceUnavailableError && fault.retryAfterMs !== undefined ? [fault.retryAfterMs] : [],
  );
  return known.length === 0 ? DEFAULT_RETRY_AFTER_MS : Math.min(...known);
}
