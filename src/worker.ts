import cluster from "node:cluster";
import type { Worker as Channel } from "node:cluster";
import type { ChargeExchange, Charges } from "./access/charge-exchange.ts";
import type { MetricsReading } from "./telemetry/metrics.ts";

/** A message from a worker to the primary. */
export type FromWorker =
  | { readonly type: "listening"; readonly addresses: ListeningAddresses }
  | { readonly type: "charges"; readonly charges: Charges }
  | { readonly type: "reading"; readonly reading: MetricsReading }
  /** Asks for the metrics of all workers. */
  | { readonly type: "ask metrics"; readonly id: number };

/** A message from the primary to a worker. */
export type ToWorker =
  | { readonly type: "charges"; readonly charges: Charges }
  /** Asks for its own metrics. */
  | { readonly type: "read" }
  | { readonly type: "metrics"; readonly id: number; readonly text: string };

/** `host:port` of each listener. */
export interface ListeningAddresses {
  readonly grpc: string;
  readonly http: string;
}

/** This process as one of several that serve together. */
export class Worker implements ChargeExchange {
  /** From 1; a replacement has a new one. */
  readonly number: number;
  readonly #channel: Channel;
  readonly #listeners = new Set<(message: ToWorker) => void>();
  #asked = 0;

  /** @param channel the connection to the primary */
  constructor(channel: Channel) {
    this.number = channel.id;
    this.#channel = channel;
    channel.on("message", (message: ToWorker) => {
      for (const listener of this.#listeners) {
        listener(message);
      }
    });
  }

  /** Undefined when this process serves alone. */
  static current(): Worker | undefined {
    return cluster.worker === undefined ? undefined : new Worker(cluster.worker);
  }

  listening(addresses: ListeningAddresses): void {
    this.#tell({ type: "listening", addresses });
  }

  publish(charges: Charges): void {
    this.#tell({ type: "charges", charges });
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
        void read().then((reading) => this.#tell({ type: "reading", reading }));
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
    this.#tell({ type: "ask metrics", id });
    return promise;
  }

  /** Closes the channel, which would keep this process alive. */
  leave(): void {
    this.#channel.disconnect();
  }

  #tell(message: FromWorker): void {
    // If the primary has ended, this process ends as well.
    if (this.#channel.isConnected()) {
      this.#channel.send(message);
    }
  }
}
