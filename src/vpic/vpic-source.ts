import type { Logger } from "../telemetry/logger.ts";
import { SingleFlight } from "../vehicle/single-flight.ts";
import type { Decode, VehicleQuery, VehicleSource } from "../vehicle/vehicle.ts";
import { createAskVpic } from "./ask-vpic.ts";
import { Question } from "./batch.ts";
import type { BreakerState } from "./circuit-breaker.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import { Gatherer } from "./gatherer.ts";
import { withPolicies } from "./policies.ts";
import type { RequestBudget } from "./request-budget.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { VpicTransport } from "./vpic-client.ts";
import { VpicClient } from "./vpic-client.ts";
import type { VpicObserver } from "./vpic-observer.ts";
import { toBreakerListener } from "./vpic-observer.ts";

const CONNECT_TIMEOUT_MS = 1_000;
const ATTEMPT_TIMEOUT_MS = 8_000;
const MAX_RUNNING_REQUESTS = 8;
/** With 50 VINs each, more than 30 s of the default budget. */
const MAX_WAITING_REQUESTS = 150;
const DEFAULT_REQUESTS_PER_SECOND = 5;
/** How many seconds' worth of requests may go out at once. */
const BURST_SECONDS = 4;

/** How vPIC is treated. */
export interface VpicPolicyOptions {
  readonly logger: Logger;
  /** What this process may send in the long run. Default 5. */
  readonly requestsPerSecond?: number;
  /** How many requests may go out at once after a pause. Default four seconds' worth. */
  readonly burst?: number;
  /** A budget that is shared with others, instead of this process's own. */
  readonly budget?: RequestBudget;
  /** How long one request may take as a whole. Default 8 s: a cold vPIC needs that long. */
  readonly attemptTimeoutMs?: number;
  /** Is told of attempts and of the breaker, for metrics. Default nobody. */
  readonly observer?: VpicObserver;
  /** The wall clock, in ms since the epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** Spreads retries; from 0 to below 1. Default `Math.random`. */
  readonly random?: () => number;
}

export interface VpicSourceOptions extends VpicPolicyOptions {
  /** As `parseVpicUrl` gives it. */
  readonly baseUrl: string;
  /** Names the service and its version, such as `VehicleService/1.0.0`. */
  readonly userAgent: string;
}

/** How the source does, for metrics and health. */
export interface VpicSourceState {
  readonly breaker: BreakerState;
  /** How many requests the budget would let go at once, now. */
  readonly availableRequests: number;
  /** How many requests wait for a place or for the budget. */
  readonly waitingRequests: number;
  /** How many VINs wait for others to go with. */
  readonly gatheringVins: number;
  /** How many requests are under way. */
  readonly runningRequests: number;
}

/** Decodes with the live vPIC API, gathering questions and never asking more than vPIC can bear. */
export class VpicSource implements VehicleSource, AsyncDisposable {
  readonly name = "vpic";
  readonly #transport: VpicTransport;
  readonly #breaker: CircuitBreaker;
  readonly #limit: ConcurrencyLimit;
  readonly #budget: RequestBudget;
  readonly #gatherer: Gatherer;
  readonly #flights = new SingleFlight<string, Decode>();

  constructor(options: VpicPolicyOptions, transport: VpicTransport) {
    this.#transport = transport;
    const { logger, observer = {}, now = Date.now, random = Math.random } = options;
    const { requestsPerSecond = DEFAULT_REQUESTS_PER_SECOND, attemptTimeoutMs = ATTEMPT_TIMEOUT_MS } = options;
    const { burst = Math.max(1, BURST_SECONDS * requestsPerSecond) } = options;
    this.#breaker = new CircuitBreaker(toBreakerListener(observer, logger));
    this.#limit = new ConcurrencyLimit({ maxRunning: MAX_RUNNING_REQUESTS, maxWaiting: MAX_WAITING_REQUESTS });
    this.#budget = options.budget ?? new TokenBucket({ requestsPerSecond, burst });
    const ask = withPolicies(
      {
        breaker: this.#breaker,
        limit: this.#limit,
        budget: this.#budget,
        attemptTimeoutMs,
        random,
        observer,
        logger,
      },
      createAskVpic(transport, now),
    );
    this.#gatherer = new Gatherer(ask);
  }

  /**
   * Rejects at once while the breaker is open. May otherwise take tens of seconds: how long to wait is up to the caller.
   */
  async decode(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    const key = `${query.vin},${query.modelYear ?? ""}`;
    return await this.#flights.join(key, (flight) => this.#ask(query, flight), signal, { keep: false });
  }

  state(): VpicSourceState {
    return {
      breaker: this.#breaker.state,
      availableRequests: this.#budget.available,
      waitingRequests: this.#limit.waiting + this.#budget.waiting,
      gatheringVins: this.#gatherer.waiting,
      runningRequests: this.#limit.running - this.#budget.waiting,
    };
  }

  /** Ends everything: decodes under way and later ones reject with SourceUnavailableError. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#gatherer[Symbol.dispose]();
    await this.#transport[Symbol.asyncDispose]();
  }

  async #ask(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    const { refusal } = this.#breaker;
    if (refusal !== undefined) {
      throw refusal;
    }
    const question = new Question(query, signal);
    this.#gatherer.submit(question);
    return await question.answer;
  }
}

/** Opens the source. Nothing is sent before the first decode. */
export function createVpicSource(options: VpicSourceOptions): VpicSource {
  const { baseUrl, userAgent, now = Date.now } = options;
  return new VpicSource(options, new VpicClient({ baseUrl, userAgent, connectTimeoutMs: CONNECT_TIMEOUT_MS, now }));
}
