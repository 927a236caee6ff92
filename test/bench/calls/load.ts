import { ChildScript } from "../../support/child-script.ts";
import type { Spread } from "./spread.ts";

/** The server that is called, and the protocol. */
export interface Target {
  /** gRPC and gRPC-Web go over HTTP/2, Connect goes over HTTP/1.1 with JSON. */
  readonly protocol: "gRPC" | "gRPC-Web" | "Connect";
  /** `host:port` */
  readonly address: string;
  /** The authority of the server's certificate, as PEM. Without it, connections are plain TCP. */
  readonly ca?: string | undefined;
  readonly token?: string | undefined;
}

/** When calls are made. */
type Pace =
  /** Closed loop: each connection keeps as many calls as it may have at once. When one ends, the next begins. */
  | { readonly kind: "closed"; readonly seconds: number }
  /** Open loop, in calls per second. A call that must wait for a connection counts from the time when it was due. */
  | { readonly kind: "open"; readonly perSecond: number; readonly seconds: number }
  /** Burst: each connection sends as many calls as it may have at once, in one write. */
  | { readonly kind: "burst" };

/** How many connections there are, and how many calls each may have at once. */
export interface Shape {
  readonly connections: number;
  readonly callsEach: number;
}

/** A task for the load process. It opens the connections before and closes them afterwards. */
export interface Order extends Shape {
  readonly target: Target;
  /** With `vehicles`, each is a Lookup of a random one of that many. */
  readonly request:
    | "cached Lookup"
    | "new Lookup"
    | "malformed batch"
    | { readonly vehicles: number; readonly spread: Spread };
  readonly pace: Pace;
}

/** How the calls ended. */
export interface Outcome {
  /** Good answers per second, during the time of the order. */
  readonly goodPerSecond: number;
  /** The durations of calls with good answers. */
  readonly good: Latencies;
  /** Answered with an error. */
  readonly refused: number;
  /** Reset, disconnected or never answered. */
  readonly lost: number;
  /** Due in an open loop, but not sent, because no open connection had room. */
  readonly unsent: number;
}

export interface Latencies {
  readonly count: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Makes calls from a process of its own, as cheaply as Node can. */
export class Load extends ChildScript<Order, Outcome> {
  static start(): Load {
    return new Load(new URL("load-process.ts", import.meta.url));
  }

  async run(order: Order): Promise<Outcome> {
    return await this.ask(order);
  }
}
