import { toCallerAddress } from "../access/caller-address.ts";
import type { Logger } from "../telemetry/logger.ts";

/** The connection limits of a listener. */
export interface ConnectionLimits {
  /** Maximum number of open connections. Default: 4,000. */
  readonly maxOpen: number;
  /**
   * Maximum number of open connections from one address (IPv6: from one /64). Default: 500. Use `Infinity` behind a
   * proxy.
   */
  readonly maxOpenPerAddress: number;
  /** Maximum number of new connections from one address in any 10 s. Default: 2,000. Use `Infinity` behind a proxy. */
  readonly maxNewPerAddress: number;
}

const DEFAULT_LIMITS: ConnectionLimits = { maxOpen: 4_000, maxOpenPerAddress: 500, maxNewPerAddress: 2_000 };

export interface ConnectionGateOptions {
  readonly limits?: Partial<ConnectionLimits>;
  /** How many processes take connections in turn: each has its part of the limits. Default: 1. */
  readonly processes?: number;
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
/**
 * Maximum number of addresses whose refused connections are counted, so that a flood from many addresses takes little
 * memory.
 */
const MAX_COUNTED_ADDRESSES = 1_000;

/** Counts connections by address, in memory bounded by the open ones and those of the last 20 s. */
export class ConnectionGate {
  readonly #limits: ConnectionLimits;
  readonly #logger: Pick<Logger, "warn">;
  readonly #now: () => number;
  readonly #open = new Map<string, number>();
  #openInAll = 0;
  /** When the admitted connections of each address came, the latest last. */
  readonly #arrivals = new Map<string, number[]>();
  #sweptAt: number;
  #refused = 0;
  /** Refused since the last warning, by address. */
  readonly #refusedSince = new Map<string, number>();
  #warnedAt = -Infinity;

  constructor({ limits = {}, processes = 1, logger, now = () => performance.now() }: ConnectionGateOptions) {
    const { maxOpen, maxOpenPerAddress, maxNewPerAddress } = { ...DEFAULT_LIMITS, ...limits };
    this.#limits = {
      maxOpen: Math.ceil(maxOpen / processes),
      maxOpenPerAddress: Math.ceil(maxOpenPerAddress / processes),
      maxNewPerAddress: Math.ceil(maxNewPerAddress / processes),
    };
    this.#logger = logger;
    this.#now = now;
    this.#sweptAt = now();
  }

  /** How many connections are open. */
  get open(): number {
    return this.#openInAll;
  }

  /** How many connections were refused since the start. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Admits a new connection and counts it until it closes, or refuses it. The listener closes refused connections; the
   * gate writes nothing. A connection that broke earlier no longer has an address, so its calls could not be assigned
   * to a caller: it is not admitted, and does not count as refused.
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

  /** Counts a new connection, unless the address has reached its limit for the last 10 s. */
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

  /** Forgets addresses without a new connection for 10 s. */
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

  /** Logs the first refused connection at once, then a summary at most every 10 s. */
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
    this.#logger.warn("refused connections: too many from one address or in total", {
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
