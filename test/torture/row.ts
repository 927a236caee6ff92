import type { RawConnection } from "../support/raw-connection.ts";
import type { Finding } from "./finding.ts";
import { grpcLookup, grpcWebLookup, httpLookup } from "./requests.ts";
import { Target } from "./target.ts";

/** One row of the table of faults and attacks. */
export interface Row {
  /** As in the table, such as `10b`. */
  readonly number: string;
  readonly title: string;
  /** Where its counts are tested: in `npm test`, only by CI, or nowhere. */
  readonly test: "always" | "ci" | "never";
  run(arena: Arena): Promise<readonly Finding[]>;
}

/** Two services to attack, started when they are needed. */
export class Arena implements AsyncDisposable {
  /** Whether to attack with full force. Otherwise, an attack takes seconds. */
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

  /** The same target for every caller with the same name. It ends with the arena. */
  #get(name: string, start: () => Promise<Target>): Promise<Target> {
    const started = this.#started.get(name) ?? start().then((target) => this.#targets.use(target));
    this.#started.set(name, started);
    return started;
  }

  /** How many attempts to make. */
  count(full: number, inTests: number): number {
    return this.isFull ? full : inTests;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#targets.disposeAsync();
  }
}

/** A protocol over which the service is attacked. */
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

/** Opens a connection through a door, to the two ports in turn, because both speak every protocol. */
export function openDoor(target: Target, { protocol }: Door, turn = 0): Promise<RawConnection> {
  // A single loopback address does not have enough ports.
  return target.open(turn % 2 === 0 ? "grpc" : "http", protocol, `127.0.0.${2 + (turn % 16)}`);
}
