import type { VehicleSource } from "./vehicle/vehicle.ts";
import { parseVin } from "./vehicle/vin.ts";

/**
 * The reasons why the service can be degraded: the name in the metric `vehicle_degraded`, and the text for `/readyz`.
 */
const REASONS = {
  cache: "the cache does not answer",
  vpic: "vPIC's circuit breaker is open",
  snapshot: "the snapshot cannot be used",
  tokens_file: "the new tokens file is not usable",
  tls_files: "the new TLS files are not usable",
};

type Reason = keyof typeof REASONS;
const NAMES = ["cache", "vpic", "snapshot", "tokens_file", "tls_files"] as const satisfies Reason[];

/** The state of the parts, read on each check. */
export interface Parts {
  readonly isCacheUp: () => boolean;
  /** Undefined when vPIC is not a source. */
  readonly breaker: () => "closed" | "half-open" | "open" | undefined;
  readonly vpic: Pick<VehicleSource, "decode"> | undefined;
  /** Undefined when the snapshot is not a source. */
  readonly snapshot: () =>
    | { readonly state: "preparing" | "ready" | "unavailable"; readonly dataDate?: string }
    | undefined;
  readonly isTokensFileFaulty: () => boolean;
  readonly areTlsFilesFaulty: () => boolean;
}

export interface ReadinessOptions extends Parts {
  /** Whether the service is ready only while the cache answers. */
  readonly requireDatabase: boolean;
  /** Called when the service becomes ready, or is no longer ready. */
  readonly onChange: (isReady: boolean) => void;
  /** How often the parts are checked, in ms. Default: 1,000. */
  readonly checkEveryMs?: number;
  /** How often the service itself probes vPIC when that is needed, in ms. Default: 5,000. */
  readonly probeEveryMs?: number;
  /** Monotonic clock, ms. Default: the process's. */
  readonly now?: () => number;
}

const CHECK_EVERY_MS = 1_000;
const PROBE_EVERY_MS = 5_000;
/** The query that probes vPIC. Any VIN works; the answer is dropped. */
const PROBE = { vin: parseVin("5YJSA1DG9DFP14705") };

/**
 * Whether the service can answer calls. It is not ready until one source is usable: the snapshot is unpacked, or vPIC
 * has answered. After that it stays ready whatever fails, because it can still answer from the cache, and reports what
 * is degraded.
 *
 * Without callers, nothing would show whether vPIC answers. So the service itself probes vPIC until a source has been
 * usable, and while the circuit breaker is open, which still enforces its pauses.
 */
export class Readiness implements Disposable {
  readonly #options: ReadinessOptions;
  readonly #now: () => number;
  readonly #timer: NodeJS.Timeout;
  readonly #closing = new AbortController();
  #hasSource = false;
  #isStopping = false;
  #wasReady = false;
  #probedAt: number;

  constructor(options: ReadinessOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#probedAt = this.#now();
    this.#timer = setInterval(() => this.check(), options.checkEveryMs ?? CHECK_EVERY_MS).unref();
  }

  get isReady(): boolean {
    this.#hasSource ||= this.#options.snapshot()?.state === "ready";
    const hasDatabase = !this.#options.requireDatabase || this.#options.isCacheUp();
    return this.#hasSource && hasDatabase && !this.#isStopping;
  }

  /** What is degraded. */
  get degraded(): Readonly<Record<Reason, boolean>> {
    const { isCacheUp, breaker, snapshot, isTokensFileFaulty, areTlsFilesFaulty } = this.#options;
    return {
      cache: !isCacheUp(),
      vpic: (breaker() ?? "closed") !== "closed",
      snapshot: snapshot()?.state === "unavailable",
      tokens_file: isTokensFileFaulty(),
      tls_files: areTlsFilesFaulty(),
    };
  }

  /** One line for `/readyz`. */
  describe(): string {
    if (this.#isStopping) {
      return "stopping";
    }
    const { isReady, degraded } = this;
    const reasonNot = this.#hasSource ? "not ready" : "starting: no source can answer yet";
    const reasons = NAMES.filter((name) => degraded[name]).map((name) => REASONS[name]);
    const dataDate = this.#options.snapshot()?.dataDate;
    return [
      isReady ? "ready" : reasonNot,
      ...(reasons.length === 0 ? [] : [`degraded: ${reasons.join(", ")}`]),
      ...(dataDate === undefined ? [] : [`snapshot data of ${dataDate}`]),
    ].join("; ");
  }

  /** Call this when vPIC has answered. */
  noteAnswer(): void {
    this.#hasSource = true;
    this.check();
  }

  /** Reports that the service is not ready from now on. */
  stop(): void {
    this.#isStopping = true;
  }

  /** Reports a change, and probes vPIC if that is needed. Called by the timer and by tests. */
  check(): void {
    const { isReady } = this;
    if (isReady !== this.#wasReady && !this.#isStopping) {
      this.#wasReady = isReady;
      this.#options.onChange(isReady);
    }
    const { vpic, breaker, probeEveryMs = PROBE_EVERY_MS } = this.#options;
    const isNeeded = !this.#hasSource || breaker() !== "closed";
    if (vpic !== undefined && isNeeded && this.#now() - this.#probedAt >= probeEveryMs) {
      this.#probedAt = this.#now();
      // Its failure is counted and logged like any other.
      vpic.decode(PROBE, this.#closing.signal).catch(() => undefined);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#closing.abort();
  }
}
