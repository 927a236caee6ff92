import { ChildScript } from "./child-script.ts";

/** Where calls go, and how. */
export interface Target {
  /** gRPC and gRPC-Web go over HTTP/2, Connect goes over HTTP/1.1 with JSON. */
  readonly protocol: "gRPC" | "gRPC-Web" | "Connect";
  /** `host:port` */
  readonly address: string;
  /** PEM of who signed the server's certificate. Without it, connections are plain TCP. */
  readonly ca?: string | undefined;
  readonly token?: string | undefined;
}

/** When calls are made. */
type Pace =
  /** On each connection as many as it may have at once, each followed by another. */
  | { readonly kind: "closed"; readonly seconds: number }
  /** So many a second, whatever becomes of them. A call without room waits, and its time counts from when it was due. */
  | { readonly kind: "open"; readonly perSecond: number; readonly seconds: number }
  /** On each connection as many as it may have at once, in one write. */
  | { readonly kind: "burst" };

/** How many connections there are, and how many calls each may have at once. */
export interface Shape {
  readonly connections: number;
  readonly callsEach: number;
}

/** What the load process does. It opens the connections beforehand and closes them when it is done. */
export interface Order extends Shape {
  readonly target: Target;
  readonly request: "cached Lookup" | "new Lookup" | "malformed batch";
  readonly pace: Pace;
}

/** What became of the calls. */
export interface Outcome {
  /** Good answers a second, of those that came while the order lasted. */
  readonly goodPerSecond: number;
  /** How long the good answers took. */
  readonly good: Latencies;
  /** Answered with an error. */
  readonly refused: number;
  /** Reset, disconnected, never answered, or never sent for want of room. */
  readonly lost: number;
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
    return new Load("load-process.ts");
  }

  async run(order: Order): Promise<Outcome> {
    return await this.ask(order);
  }
}
