import cluster from "node:cluster";
import type { Worker as Channel } from "node:cluster";
import type { Socket } from "node:net";
import type { ChargeExchange, Charges } from "./access/charge-exchange.ts";
import type { MetricsReading } from "./telemetry/metrics.ts";

/** A message from a worker to the primary. */
export type FromWorker =
  /** It serves connections from now on. */
  | { readonly type: "ready" }
  /** It accepts no further connections. */
  | { readonly type: "draining" }
  | { readonly type: "charges"; readonly charges: Charges }
  | { readonly type: "reading"; readonly id: number; readonly reading: MetricsReading }
  /** Asks for the metrics of all workers. */
  | { readonly type: "ask metrics"; readonly id: number };

/** A message from the primary to a worker. */
export type ToWorker =
  /** Comes with the socket of a new connection. */
  | { readonly type: "connection" }
  | { readonly type: "charges"; readonly charges: Charges }
  /** Asks for its own metrics. */
  | { readonly type: "read"; readonly id: number }
  | { readonly type: "metrics"; readonly id: number; readonly text: string };

/** This process as one of several that serve together. */
export class Worker implements ChargeExchange {
  /** From 1; a replacement has a new one. */
  readonly number: number;
  readonly #channel: Channel;
  readonly #listeners = new Set<(message: ToWorker, socket: Socket | undefined) => void>();
  #asked = 0;

  /** @param channel the connection to the primary */
  constructor(channel: Channel) {
    this.number = channel.id;
    this.#channel = channel;
    channel.on("message", (message: ToWorker, socket: Socket | undefined) => {
      for (const listener of this.#listeners) {
        listener(message, socket);
      }
    });
  }

  /** Undefined when this process serves alone. */
  static current(): Worker | undefined {
    return cluster.worker === undefined ? undefined : new Worker(cluster.worker);
  }

  /** Tells the primary that this process is ready, and accepts the connections that it sends. */
  startConnections(accept: (socket: Socket) => void): void {
    this.#listeners.add((message, socket) => {
      // The connection may have ended before it arrived.
      if (message.type === "connection" && socket !== undefined) {
        accept(socket);
      }
    });
    this.#send({ type: "ready" });
  }

  /** Tells the primary to send no more connections. Those already sent still arrive. */
  stopConnections(): void {
    this.#send({ type: "draining" });
  }

  publish(charges: Charges): void {
    this.#send({ type: "charges", charges });
  }

  subscribe(receive: (charges: Charges) => void): void {
    this.#listeners.add((message) => {
      if (message.type === "charges") {
        receive(message.charges);
      }
    });
  }

  /** Answers when the primary asks for the metrics of this process. */
  onRead(read: () => Promise<MetricsReading>): void {
    this.#listeners.add((message) => {
      if (message.type === "read") {
        void read().then((reading) => this.#send({ type: "reading", id: message.id, reading }));
      }
    });
  }

  /** The metrics of all workers as those of one process, in the Prometheus text format. */
  async metricsOfAll(): Promise<string> {
    const id = this.#asked++;
    const { promise, resolve } = Promise.withResolvers<string>();
    const listener = (message: ToWorker): void => {
      if (message.type === "metrics" && message.id === id) {
        this.#listeners.delete(listener);
        resolve(message.text);
      }
    };
    this.#listeners.add(listener);
    this.#send({ type: "ask metrics", id });
    return promise;
  }

  /** Closes the channel to the primary, which would keep this process alive. */
  disconnect(): void {
    this.#channel.disconnect();
  }

  #send(message: FromWorker): void {
    // If the primary has ended, this process ends as well.
    if (this.#channel.isConnected()) {
      this.#channel.send(message);
    }
  }
}
