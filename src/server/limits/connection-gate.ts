import type { Socket } from "node:net";

import { toCallerAddress } from "../../access/caller-address.ts";

/** How many connections a listener takes. */
export interface ConnectionLimits {
  /** Open at once. Default: 1,000. */
  readonly maxOpen: number;
  /** Open at once from one address, IPv6 by its /64. Default: 100. `Infinity` behind a proxy. */
  readonly maxOpenPerAddress: number;
  /** New ones from one address within any 10 s. Default: 200. `Infinity` behind a proxy. */
  readonly maxNewPerAddress: number;
}

const defaultConnectionLimits: ConnectionLimits = {
  maxOpen: 1000,
  maxOpenPerAddress: 100,
  maxNewPerAddress: 200,
};

const WINDOW_MS = 10_000;

/** Counts connections by address, in memory bounded by the open ones and those of the last 20 s. */
export class ConnectionGate {
  readonly #limits: ConnectionLimits;
  readonly #open = new Map<string, number>();
  #openInAll = 0;
  /** When those came that were let in, the latest last. */
  readonly #arrivals = new Map<string, number[]>();
  #sweptAt = performance.now();

  constructor(limits: Partial<ConnectionLimits> = {}) {
    this.#limits = { ...defaultConnectionLimits, ...limits };
  }

  /**
   * Lets a new connection in, and counts it until it closes; or destroys it, and says so. One that was broken before it
   * could be looked at has no address any more, and is not let in: its calls would be nobody's.
   */
  admit(socket: Socket): boolean {
    const address = toCallerAddress(socket.remoteAddress ?? "");
    const open = this.#open.get(address) ?? 0;
    const isWelcome =
      address !== "" &&
      this.#openInAll < this.#limits.maxOpen &&
      open < this.#limits.maxOpenPerAddress &&
      this.#hasComeSeldom(address);
    if (!isWelcome) {
      socket.destroy();
      return false;
    }
    this.#openInAll++;
    this.#open.set(address, open + 1);
    socket.once("close", () => {
      this.#leave(address);
    });
    return true;
  }

  /** Whether an address has had fewer new connections in the last 10 s than it may have; counts one more if so. */
  #hasComeSeldom(address: string): boolean {
    if (this.#limits.maxNewPerAddress === Number.POSITIVE_INFINITY) {
      return true;
    }
    const now = performance.now();
    this.#sweep(now);
    const arrivals = this.#arrivals.get(address) ?? [];
    while (arrivals.length > 0 && isPast(arrivals[0], now)) {
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
  return time === undefined || now - time >= WINDOW_MS;
}
