import { toCallerAddress } from "../access/caller-address.ts";
import type { Logger } from "../telemetry/logger.ts";
import { RefusalLog } from "../telemetry/refusal-log.ts";

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
  /** The number of processes that share incoming connections. Each has an equal part of the limits. Default: 1. */
  readonly processes?: number;
  readonly logger: Pick<Logger, "warn">;
  /** Monotonic clock, ms. Default: the system's. */
  readonly now?: () => number;
}

/** The parts of a net.Socket or tls.TLSSocket that the gate uses. */
interface GateSocket {
  readonly remoteAddress?: string | undefined;
  once(event: "close", listener: () => void): unknown;
}

const WINDOW_MS = 10_000;

/** Counts connections by address. Keeps only open connections and those of the last 20 s in memory. */
export class ConnectionGate {
  readonly #limits: ConnectionLimits;
  readonly #now: () => number;
  readonly #open = new Map<string, number>();
  #openInAll = 0;
  /** The arrival times of the admitted connections of each address, the latest last. */
  readonly #arrivals = new Map<string, number[]>();
  #sweptAt: number;
  readonly #refusals: RefusalLog;

  constructor({ limits = {}, processes = 1, logger, now = () => performance.now() }: ConnectionGateOptions) {
    const { maxOpen, maxOpenPerAddress, maxNewPerAddress } = { ...DEFAULT_LIMITS, ...limits };
    this.#limits = {
      maxOpen: Math.ceil(maxOpen / processes),
      maxOpenPerAddress: Math.ceil(maxOpenPerAddress / processes),
      maxNewPerAddress: Math.ceil(maxNewPerAddress / processes),
    };
    const message = "refused connections: too many from one address or in total";
    this.#refusals = new RefusalLog({ logger, message, now });
    this.#now = now;
    this.#sweptAt = now();
  }

  /** The number of open connections. */
  get open(): number {
    return this.#openInAll;
  }

  /** The number of connections that were refused since the start. */
  get refused(): number {
    return this.#refusals.count;
  }

  /**
   * Admits a new connection and counts it until it closes, or refuses it and returns false. The listener closes refused
   * connections; the gate writes nothing. A connection that has already broken has no address, so its calls could not
   * be assigned to a caller. It is not admitted, and does not count as refused.
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
      this.#refusals.note(address, () => ({ open: this.#openInAll }));
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
