import type { Socket } from "node:net";

import { toCallerAddress } from "../../access/caller-address.ts";

/** How many connections a listener takes. */
export interface ConnectionLimits {
  /** Open at once. Default: 1,000. */
  readonly maxOpen: number;
  /** Open at once from one address, IPv6 by its /64. Default: 100. `Infinity` behind a proxy. */
  readonly maxOpenPerAddress: number;
  /** New ones from one address within 10 s. Default: 200. `Infinity` behind a proxy. */
  readonly maxNewPerAddress: number;
}

const defaultConnectionLimits: ConnectionLimits = {
  maxOpen: 1000,
  maxOpenPerAddress: 100,
  maxNewPerAddress: 200,
};

const WINDOW_MS = 10_000;

/** Counts connections by address, in memory bounded by the open ones and those of the last 10 s. */
export class ConnectionGate {
  readonly #limits: ConnectionLimits;
  readonly #open = new Map<string, number>();
  #openInAll = 0;
  #windowStartedAt = performance.now();
  readonly #newInWindow = new Map<string, number>();

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
      this.#countNew(address) <= this.#limits.maxNewPerAddress;
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

  #countNew(address: string): number {
    const now = performance.now();
    if (now - this.#windowStartedAt >= WINDOW_MS) {
      this.#windowStartedAt = now;
      this.#newInWindow.clear();
    }
    const count = (this.#newInWindow.get(address) ?? 0) + 1;
    this.#newInWindow.set(address, count);
    return count;
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
