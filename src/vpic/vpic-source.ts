import type { Logger } from "../telemetry/logger.ts";
import type { VpicReading } from "../telemetry/metrics.ts";
import type { SourceUnavailableError } from "../vehicle/errors.ts";
import type { Fleet } from "../vehicle/fleet.ts";
import type { Decode, VehicleQuery, VehicleSource } from "../vehicle/vehicle.ts";
import type { Vin } from "../vehicle/vin.ts";
import { waitFor } from "../vehicle/wait-for.ts";
import type { Call } from "./call.ts";
import type { BreakerState } from "./circuit-breaker.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import type { Batch } from "./gatherer.ts";
import { Gatherer, Question } from "./gatherer.ts";
import type { VpicAttempt } from "./policies.ts";
import { withPolicies } from "./policies.ts";
import type { RequestBudget } from "./request-budget.ts";
import { FleetBudget } from "./fleet-budget.ts";
import { TokenBucket } from "./request-budget.ts";
import { VinCooldown } from "./vin-cooldown.ts";
import { findDecode } from "./vpic-answer.ts";
import type { VpicTransport } from "./vpic-client.ts";
import { VpicClient } from "./vpic-client.ts";
import { VpicError } from "./vpic-error.ts";

const CONNECT_TIMEOUT_MS = 1_000;
const ATTEMPT_TIMEOUT_MS = 8_000;
const MAX_RUNNING_REQUESTS = 8;
/** More than 30 s of the default budget, each request with up to 50 VINs. */
const MAX_WAITING_REQUESTS = 150;
const DEFAULT_REQUESTS_PER_SECOND = 5;
/** The default burst, in seconds of the rate. */
const BURST_SECONDS = 4;

/** The policies for requests to vPIC. */
export interface VpicPolicyOptions {
  readonly logger: Logger;
  /** The sustained rate of this process. Default: 5. */
  readonly requestsPerSecond?: number;
  /** The burst size. Default: four seconds of the rate. */
  readonly burst?: number;
  /** The processes that share the budget and probe vPIC in turn. Default: only this process. */
  readonly fleet?: Fleet | undefined;
  /** Time limit of one request as a whole. Default: 8 s, which a cold vPIC needs. */
  readonly attemptTimeoutMs?: number;
  /** Called after every request, for metrics. Default: none. */
  readonly onAttempt?: (attempt: VpicAttempt) => void;
  /** The wall clock, in ms since the epoch. Default: `Date.now`. */
  readonly now?: () => number;
  /** Spreads retries; from 0 to below 1. Default: `Math.random`. */
  readonly random?: () => number;
}

export interface VpicSourceOptions extends VpicPolicyOptions {
  /** The result of `parseVpicUrl`. */
  readonly baseUrl: string;
  /** The service and its version, such as `VehicleService/1.0.0`. */
  readonly userAgent: string;
}

/**
 * Decodes with the live vPIC API. Gathers queries into few requests, and never exceeds the request budget. Does not
 * merge equal queries: callers that want the same VIN are expected to share one decode.
 */
export class VpicSource implements VehicleSource, AsyncDisposable {
  readonly name = "vpic";
  readonly #transport: VpicTransport;
  readonly #breaker: CircuitBreaker;
  readonly #limit = new ConcurrencyLimit({ maxRunning: MAX_RUNNING_REQUESTS, maxWaiting: MAX_WAITING_REQUESTS });
  readonly #budget: RequestBudget;
  readonly #cooldown = new VinCooldown();
  readonly #gatherer: Gatherer;
  /** Settles when vPIC no longer answers for the VIN. */
  readonly #asked = new Map<Vin, Promise<void>>();

  constructor(options: VpicPolicyOptions, transport: VpicTransport) {
    this.#transport = transport;
    const { logger, fleet, onAttempt = () => undefined, now = Date.now, random = Math.random } = options;
    const { requestsPerSecond = DEFAULT_REQUESTS_PER_SECOND, attemptTimeoutMs = ATTEMPT_TIMEOUT_MS } = options;
    const { burst = Math.max(1, BURST_SECONDS * requestsPerSecond) } = options;
    this.#breaker = new CircuitBreaker((state, reason) => {
      logChange(logger, state, reason);
      if (state === "closed") {
        // These VINs probably failed because of the outage.
        this.#cooldown.clear();
      }
    });
    const rate = { requestsPerSecond, burst };
    this.#budget = fleet === undefined ? new TokenBucket(rate) : new FleetBudget(fleet, rate);
    const [breaker, limit, budget, cooldown] = [this.#breaker, this.#limit, this.#budget, this.#cooldown];
    const ask = withPolicies(
      { breaker, probes: fleet, limit, budget, cooldown, attemptTimeoutMs, random, onAttempt, logger },
      createAsk(transport, now),
    );
    this.#gatherer = new Gatherer(ask);
  }

  /**
   * Rejects at once while the breaker is open or the VIN is in its cooldown. Otherwise it may take tens of seconds;
   * callers decide how long to wait. When aborted, it rejects at the end of the request if that has other VINs, too:
   * until then, vPIC must not be asked for the VIN again.
   */
  async decode(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    const { vin } = query;
    for (let asked = this.#asked.get(vin); asked !== undefined; asked = this.#asked.get(vin)) {
      await waitFor(asked, signal);
    }
    signal.throwIfAborted();
    const refusal = this.refusalOf(vin);
    if (refusal !== undefined) {
      throw refusal;
    }
    const question = new Question(query, signal);
    const ended = question.ended();
    this.#asked.set(vin, ended);
    this.#gatherer.submit(question);
    try {
      return await question.answer;
    } finally {
      await ended;
      this.#asked.delete(vin);
    }
  }

  refusalOf(vin: Vin): SourceUnavailableError | undefined {
    return this.#breaker.refusal ?? this.#cooldown.refusalOf(vin);
  }

  /** For metrics and health. */
  state(): VpicReading {
    return {
      breaker: this.#breaker.state,
      availableRequests: this.#budget.available,
      waitingRequests: this.#limit.waiting + this.#budget.waiting,
      gatheringVins: this.#gatherer.waiting,
      runningRequests: this.#limit.running - this.#budget.waiting,
    };
  }

  /** Rejects all running and later decodes with SourceUnavailableError. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#gatherer[Symbol.dispose]();
    await this.#transport[Symbol.asyncDispose]();
  }
}

/** Opens the source. Nothing is sent before the first decode. */
export function createVpicSource(options: VpicSourceOptions): VpicSource {
  const { baseUrl, userAgent, now = Date.now } = options;
  return new VpicSource(options, new VpicClient({ baseUrl, userAgent, connectTimeoutMs: CONNECT_TIMEOUT_MS, now }));
}

/**
 * The call inside all policies: one request for the open questions of a batch. Each row answers the question for its
 * VIN. If a question has no row, it stays open and the call fails.
 */
function createAsk(transport: VpicTransport, now: () => number): Call<Batch> {
  return async (batch, { signal }) => {
    signal.throwIfAborted();
    batch.markSent();
    const asked = batch.openQuestions;
    const queries = asked.map(({ query }) => query);
    const request = transport.fetchRows(queries, signal);
    asked.forEach((question) => question.sendIn(request));
    const rows = await request;

    let answered = 0;
    for (const question of asked) {
      const decode = findDecode(rows, question.query.vin, now());
      if (decode !== undefined) {
        question.resolve(decode);
        answered += 1;
      }
    }
    if (answered < asked.length) {
      throw new VpicError("missing-row", `no usable row for ${asked.length - answered} of ${asked.length} VINs`, {
        partlyAnswered: answered > 0,
      });
    }
  };
}

function logChange(logger: Logger, state: BreakerState, reason: VpicError | undefined): void {
  if (state === "open") {
    logger.warn("circuit breaker opened: pausing requests to vPIC", { kind: reason?.kind, reason: reason?.message });
  } else if (state === "closed") {
    logger.info("circuit breaker closed: vPIC answers again");
  }
}
