import cluster from "node:cluster";
import type { Worker as WorkerProcess } from "node:cluster";
import type { ConnectionDealer, ConnectionTarget } from "./connection-dealer.ts";
import type { Logger } from "./telemetry/logger.ts";
import type { MetricsReading } from "./telemetry/metrics.ts";
import { addCounts, renderSum } from "./telemetry/metrics.ts";
import type { FromWorker, ToWorker } from "./worker.ts";

export interface WorkersOptions {
  /** How many processes serve. */
  readonly count: number;
  readonly logger: Logger;
  /** Gives connections to the workers that are ready. It is closed when they stop. */
  readonly dealer: ConnectionDealer;
  /** Called once, when all workers are ready for the first time. */
  readonly onReady: () => void;
  /** Monotonic clock, ms. Default: the process's. */
  readonly elapsedMs?: () => number;
}

/** When this many workers have died within the window, the service ends. */
const MAX_DEATHS = 5;
const DEATHS_WINDOW_MS = 60_000;
/** The pause before the second replacement within the window. It doubles with each further one. */
const PAUSE_MS = 1_000;
/** How often the metrics of each worker are read. When a worker is killed, only its counts since then are lost. */
const READ_EVERY_MS = 1_000;
/** How long a worker may take to answer. After that, its previous metrics are used. */
const READ_TIMEOUT_MS = 1_000;

interface Member extends ConnectionTarget {
  readonly process: WorkerProcess;
  phase: "starting" | "serving" | "draining";
  /** Its metrics when they were last read. */
  reading: MetricsReading;
  /** Called when its readings arrive, by the ids of the readings. */
  readonly waiting: Map<number, () => void>;
}

/**
 * The processes that serve on the same ports. This process answers no calls: it starts them, replaces those that die,
 * and passes messages between them.
 */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #elapsedMs: () => number;
  readonly #members = new Map<number, Member>();
  readonly #ended = Promise.withResolvers<number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #reader: NodeJS.Timeout;
  /** The counts of workers that have died. */
  #past: Promise<MetricsReading> = Promise.resolve([]);
  #deaths: number[] = [];
  #reads = 0;
  #wereReady = false;
  #isStopping = false;
  #exitCode = 0;

  /** Starts the workers. */
  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#elapsedMs = options.elapsedMs ?? (() => performance.now());
    for (let number = 1; number <= options.count; number++) {
      this.#fork();
    }
    this.#reader = setInterval(() => void this.#readAll(), READ_EVERY_MS);
  }

  /** Resolves with the exit code of the service when no worker is left. */
  get ended(): Promise<number> {
    return this.#ended.promise;
  }

  /**
   * Passes a signal on to the workers, which then finish their calls. No further workers are started.
   *
   * @param exitCode minimum exit code of the service
   */
  stop(signal: NodeJS.Signals, exitCode = 0): void {
    this.#isStopping = true;
    this.#exitCode = Math.max(this.#exitCode, exitCode);
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
    this.#timers.clear();
    for (const { process: worker } of this.#members.values()) {
      worker.process.kill(signal);
    }
    this.#closeWhenUnserved();
    this.#endIfEmpty();
  }

  #fork(): void {
    const worker = cluster.fork();
    const member: Member = {
      process: worker,
      phase: "starting",
      reading: [],
      waiting: new Map(),
      send(socket, onSent) {
        const message: ToWorker = { type: "connection" };
        worker.process.send(message, socket, { keepOpen: true }, onSent);
      },
    };
    this.#members.set(worker.id, member);
    this.#options.logger.info("started a worker", { worker: worker.id, pid: worker.process.pid });
    worker.on("message", (message: FromWorker) => this.#receive(member, message));
    // Sending to a worker that has just died fails. The event `exit` reports its end.
    worker.on("error", () => undefined);
    worker.on("exit", (code: number | null, signal: string | null) => this.#handleExit(member, code, signal));
  }

  #receive(member: Member, message: FromWorker): void {
    switch (message.type) {
      case "ready":
        member.phase = "serving";
        this.#options.dealer.add(member);
        this.#noteReady();
        break;
      case "draining":
        member.phase = "draining";
        this.#options.dealer.remove(member);
        this.#closeWhenUnserved();
        break;
      case "charges":
        for (const other of this.#members.values()) {
          if (other !== member) {
            send(other, { type: "charges", charges: message.charges });
          }
        }
        break;
      case "reading":
        member.reading = message.reading;
        member.waiting.get(message.id)?.();
        break;
      case "ask metrics":
        void this.#renderAll().then((text) => send(member, { type: "metrics", id: message.id, text }));
        break;
    }
  }

  #noteReady(): void {
    if (!this.#isStopping && !this.#wereReady && this.#members.values().every(({ phase }) => phase === "serving")) {
      this.#wereReady = true;
      this.#options.onReady();
    }
  }

  #handleExit(member: Member, code: number | null, signal: string | null): void {
    this.#members.delete(member.process.id);
    this.#options.dealer.remove(member);
    this.#closeWhenUnserved();
    const readings = [member.reading];
    this.#past = this.#past.then((past) => addCounts([past, ...readings]));
    if (this.#isStopping) {
      // A worker that is still starting does not handle signals yet, and has no calls.
      this.#exitCode = member.phase !== "starting" ? Math.max(this.#exitCode, code ?? 1) : this.#exitCode;
    } else if (this.#wereReady) {
      this.#options.logger.error("a worker died", { worker: member.process.id, code, signal });
      this.#replace();
    } else {
      // The worker has logged the reason.
      this.stop("SIGTERM", 1);
    }
    this.#endIfEmpty();
  }

  #replace(): void {
    const now = this.#elapsedMs();
    this.#deaths = [...this.#deaths.filter((at) => now - at < DEATHS_WINDOW_MS), now];
    const deaths = this.#deaths.length;
    if (deaths >= MAX_DEATHS) {
      this.#options.logger.error("the service ends because too many workers died", {
        deaths,
        withinMs: DEATHS_WINDOW_MS,
      });
      this.stop("SIGTERM", 1);
      return;
    }
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.#fork();
      },
      deaths === 1 ? 0 : PAUSE_MS * 2 ** (deaths - 2),
    );
    this.#timers.add(timer);
  }

  #closeWhenUnserved(): void {
    if (this.#isStopping && !this.#members.values().some(({ phase }) => phase === "serving")) {
      this.#options.dealer.close();
    }
  }

  #endIfEmpty(): void {
    if (this.#isStopping && this.#members.size === 0) {
      clearInterval(this.#reader);
      this.#ended.resolve(this.#exitCode);
    }
  }

  async #renderAll(): Promise<string> {
    await this.#readAll();
    return renderSum([await this.#past, ...this.#members.values().map(({ reading }) => reading)]);
  }

  async #readAll(): Promise<void> {
    const id = this.#reads++;
    await Promise.all(this.#members.values().map((member) => readOne(member, id)));
  }
}

/** Waits for a reading of this id: an earlier one would lack the latest calls. */
async function readOne(member: Member, id: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, READ_TIMEOUT_MS);
  member.waiting.set(id, resolve);
  send(member, { type: "read", id });
  await promise;
  clearTimeout(timer);
  member.waiting.delete(id);
}

function send({ process: worker }: Member, message: ToWorker): void {
  if (worker.isConnected()) {
    worker.send(message);
  }
}
