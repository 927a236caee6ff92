import { waitFor } from "./wait-for.ts";

/** How one caller joins a flight. */
export interface JoinOptions {
  /**
   * Whether the flight continues when all callers have gone, because its result is worth having. One caller is enough.
   * Default: true.
   */
  readonly keep?: boolean;
}

interface Flight<V> {
  readonly result: Promise<V>;
  readonly controller: AbortController;
  callers: number;
  keep: boolean;
}

/** Lets callers who ask for the same thing at the same time share one piece of work. */
export class SingleFlight<K, V> {
  readonly #flights = new Map<K, Flight<V>>();

  /** The number of flights in progress. */
  get size(): number {
    return this.#flights.size;
  }

  /**
   * Joins the flight of `key`, starting one when there is none. A failure is shared by those who wait now; the next
   * caller starts a new flight.
   *
   * @param start the work; its signal is aborted only when all callers have gone and none of them set `keep`.
   * @param callerSignal makes this caller leave at once, with the signal's reason; the others are not affected.
   */
  async join(
    key: K,
    start: (signal: AbortSignal) => Promise<V>,
    callerSignal: AbortSignal,
    options: JoinOptions = {},
  ): Promise<V> {
    callerSignal.throwIfAborted();
    const flight = this.#flights.get(key) ?? this.#depart(key, start);
    flight.callers += 1;
    flight.keep ||= options.keep ?? true;

    try {
      return await waitFor(flight.result, callerSignal);
    } finally {
      flight.callers -= 1;
      const isUnderWay = this.#flights.get(key) === flight;
      if (isUnderWay && flight.callers === 0 && !flight.keep) {
        this.#forget(key, flight);
        flight.controller.abort(callerSignal.reason);
      }
    }
  }

  #depart(key: K, start: (signal: AbortSignal) => Promise<V>): Flight<V> {
    const controller = new AbortController();
    // Promise.try: a start that throws at once is a failed flight like any other.
    const result = Promise.try(start, controller.signal);
    const flight: Flight<V> = { result, controller, callers: 0, keep: false };
    this.#flights.set(key, flight);
    const land = (): void => this.#forget(key, flight);
    // Also handles a failure, which without callers would be an unhandled rejection.
    result.then(land, land);
    return flight;
  }

  #forget(key: K, flight: Flight<V>): void {
    if (this.#flights.get(key) === flight) {
      this.#flights.delete(key);
    }
  }
}
