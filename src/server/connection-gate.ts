import { toCallerAddress } from "../access/caller-address.ts";
import type { Logger } from "../telemetry/logger.ts";

/** How many connections a listener takes. */
export interface ConnectionLimits {
  /** Open at once. Default: 4,000. */
  readonly maxOpen: number;
  /** Open at once from one address, IPv6 by its /64. Default: 500. `Infinity` behind a proxy. */
  readonly maxOpenPerAddress: number;
  /** New ones from one address within any 10 s. Default: 2,000. `Infinity` behind a proxy. */
  readonly maxNewPerAddress: number;
}

const DEFAULT_LIMITS: ConnectionLimits = { maxOpen: 4_000, maxOpenPerAddress: 500, maxNewPerAddress: 2_000 };

export interface ConnectionGateOptions {
  readonly limits?: Partial<ConnectionLimits>;
  readonly logger: Pick<Logger, "warn">;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/** What the gate needs of a net.Socket or tls.TLSSocket. */
interface GateSocket {
  readonly remoteAddress?: string | undefined;
  once(event: "close", listener: () => void): unknown;
}

const WINDOW_MS = 10_000;
const WARN_EVERY_MS = 10_000;
/** Refused connections are counted for so many addresses at once: a flood from more must not take memory. */
const MAX_COUNTED_ADDRESSES = 1_000;

/** Counts connections by address, in memory bounded by the open ones and those of the last 20 s. */
export class ConnectionGate {
  readonly #limits: ConnectionLimits;
  readonly #logger: Pick<Logger, "warn">;
  readonly #now: () => number;
  readonly #open = new Map<string, number>();
  #openInAll = 0;
  /** When those came that were let in, the latest last. */
  readonly #arrivals = new Map<string, number[]>();
  #sweptAt: number;
  #refused = 0;
  /** Refused since the last warning, by address. */
  readonly #refusedSince = new Map<string, number>();
  #warnedAt = -Infinity;

  constructor({ limits = {}, logger, now = () => performance.now() }: ConnectionGateOptions) {
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#logger = logger;
    this.#now = now;
    this.#sweptAt = now();
  }

  /** How many connections were refused since the start. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Lets a new connection in, and counts it until it closes; or refuses it. The listener closes refused ones: the gate
   * writes nothing. A connection that broke before this has no address any more and is not let in, since its calls would
   * be nobody's; it does not count as refused.
   */
  admit(socket: GateSocket): boolean {
    const address = toCallerAddress(socket.remoteAddress ?? "");
    if (address === "") {
      return false;
    }
    const open = this.#open.get(address) ?? 0;
    const isWithinLimits =
      this.#openInAll < this.#limits.maxOpen && open < this.#limits.maxOpenPerAddress && this.#takeArrival(address);
    if (!isWithinLimits) {
      this.#countRefused(address);
      return false;
    }
    this.#openInAll++;
    this.#open.set(address, open + 1);
    socket.once("close", () => this.#leave(address));
    return true;
  }

  /** Counts one more new connection, unless the address has had as many in the last 10 s as it may have. */
  #takeArrival(address: string): boolean {
    if (this.#limits.maxNewPerAddress === Infinity) {
      return true;
    }
    const now = this.#now();
    this.#sweep(now);
    const arrivals = this.#arrivals.get(address) ?? [];
    while (isPast(arrivals[0], now)) {
      arrivals.shift();
    }
    if (arrivals.length >= this.#limits.maxNewPerAddress) {
      return false;
    }
    arrivals.push(now);
    this.#arrivals.set(address, arrivals);
    return true;
  }

  /** Forgets addresses from which nothing has come for 10 s. */
  #sweep(now: number): void {
    if (!isPast(this.#sweptAt, now)) {
      return;
    }
    this.#sweptAt = now;
    for (const [address, arrivals] of this.#arrivals) {
      if (isPast(arrivals.at(-1), now)) {
        this.#arrivals.delete(address);
      }
    }
  }

  /** Warns of the first refused connection at once, and then at most every 10 s of those since. */
  #countRefused(address: string): void {
    this.#refused++;
    const refused = this.#refusedSince.get(address) ?? 0;
    if (refused > 0 || this.#refusedSince.size < MAX_COUNTED_ADDRESSES) {
      this.#refusedSince.set(address, refused + 1);
    }
    const now = this.#now();
    if (now - this.#warnedAt < WARN_EVERY_MS) {
      return;
    }
    this.#warnedAt = now;
    const [worst] = [...this.#refusedSince].toSorted(([, one], [, other]) => other - one);
    this.#logger.warn("refused connections: too many from one address or in all", {
      address: worst?.[0],
      count: worst?.[1],
      addresses: this.#refusedSince.size,
      refusedInAll: this.#refused,
      open: this.#openInAll,
    });
    this.#refusedSince.clear();
  }

  #leave(address: string): void {
    this.#openInAll--;
    const left = (this.#open.get(address) ?? 1) - 1;
    if (left === 0) {
      this.#open.delete(address);
    } else {
      this.#open.set(address, left);
    }
  }
}

function isPast(time: number | undefined, now: number): boolean {
  return time !== undefined && now - time >= WINDOW_MS;
}
