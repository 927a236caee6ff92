import type { RawConnection } from "../support/raw-connection.ts";
import type { Finding } from "./finding.ts";
import { grpcLookup, grpcWebLookup, httpLookup } from "./requests.ts";
import { Target } from "./target.ts";

/** One row of the table of faults and attacks. */
export interface Row {
  /** As in the table, such as `10b`. */
  readonly number: string;
  readonly title: string;
  /** Where what it counts is a test: in `npm test`, among what only CI runs, or nowhere. */
  readonly test: "always" | "ci" | "never";
  run(arena: Arena): Promise<readonly Finding[]>;
}

/** Two services to attack, started when they are needed. */
export class Arena implements AsyncDisposable {
  /** Whether to try with full force; else with what takes seconds. */
  readonly isFull: boolean;
  readonly #targets = new AsyncDisposableStack();
  readonly #started = new Map<string, Promise<Target>>();

  constructor(isFull: boolean) {
    this.isFull = isFull;
  }

  /** With or without TLS. */
  target(isSecured: boolean): Promise<Target> {
    return this.#get(isSecured ? "secured" : "plain", () => Target.start({ isSecured, isWarm: this.isFull }));
  }

  /** The same for every caller with the same name; ended with the arena. */
  #get(name: string, start: () => Promise<Target>): Promise<Target> {
    const started = this.#started.get(name) ?? start().then((target) => this.#targets.use(target));
    this.#started.set(name, started);
    return started;
  }

  /** How many of a thing to try. */
  count(full: number, inTests: number): number {
    return this.isFull ? full : inTests;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#targets.disposeAsync();
  }
}

/** A way to speak to the service. */
export interface Door {
  readonly name: string;
  readonly isSecured: boolean;
  readonly protocol: "h2" | "http/1.1";
  /** A whole connection with one Lookup, for this host. */
  readonly lookup: (authority?: string | Uint8Array) => Buffer;
}

export const DOORS: readonly Door[] = [
  { name: "gRPC", isSecured: false, protocol: "h2", lookup: grpcLookup },
  { name: "HTTP/1.1", isSecured: false, protocol: "http/1.1", lookup: httpLookup },
  { name: "gRPC-Web over TLS", isSecured: true, protocol: "h2", lookup: grpcWebLookup },
];

/** Opens a connection through a door, to either port by turns: both speak everything. */
export function openDoor(target: Target, { protocol }: Door, turn = 0): Promise<RawConnection> {
  // One address of loopback does not have enough ports.
  return target.open(turn % 2 === 0 ? "grpc" : "http", protocol, `127.0.0.${2 + (turn % 16)}`);
}
