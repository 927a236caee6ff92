/** How one caller takes part in a flight. */
export interface JoinOptions {
  /**
   * Whether the flight goes on for the sake of its result when all callers have gone. It is enough that one caller says
   * so. Default true.
   */
  readonly keep?: boolean;
}

interface Flight<V> {
  readonly result: Promise<V>;
  readonly controller: AbortController;
  callers: number;
  keep: boolean;
}

/** Lets callers who want the same thing at the same time share one piece of work. */
export class SingleFlight<K, V> {
  readonly #flights = new Map<K, Flight<V>>();

  /** How many flights are under way. */
  get size(): number {
    return this.#flights.size;
  }

  /**
   * Takes part in the flight of `key`, starting one when there is none. A failure is for those who wait now: the next
   * caller starts anew.
   *
   * @param start the work; its signal is aborted only when all callers have gone and none of them said `keep`.
   * @param callerSignal lets this caller go, at once and with the signal's reason, without harm to the others.
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

    const departure = Promise.withResolvers<never>();
    const leave = (): void => departure.reject(callerSignal.reason);
    callerSignal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([flight.result, departure.promise]);
    } finally {
      callerSignal.removeEventListener("abort", leave);
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
    // Both ways are handled here, so that a failure that nobody waits for any more is not an unhandled one.
    result.then(land, land);
    return flight;
  }

  #forget(key: K, flight: Flight<V>): void {
    if (this.#flights.get(key) === flight) {
      this.#flights.delete(key);
    }
  }
}
