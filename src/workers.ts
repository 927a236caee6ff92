import cluster from "node:cluster";
import type { Worker as WorkerProcess } from "node:cluster";
import type { Logger } from "./telemetry/logger.ts";
import type { MetricsReading } from "./telemetry/metrics.ts";
import { addCounts, renderSum } from "./telemetry/metrics.ts";
import type { FromWorker, ListeningAddresses, ToWorker } from "./worker.ts";

export interface WorkersOptions {
  /** How many processes serve. */
  readonly count: number;
  readonly logger: Logger;
  /** Called once, when all of them listen for the first time. */
  readonly onListening: (addresses: ListeningAddresses) => void;
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
const READ_PATIENCE_MS = 1_000;

interface Member {
  readonly process: WorkerProcess;
  isListening: boolean;
  /** Its metrics when they were last read. */
  reading: MetricsReading;
  /** Called with each new reading. */
  onReading: (() => void) | undefined;
}

/**
 * The processes that serve on the same ports, one for each core. This process answers no calls: it starts them,
 * replaces those that die, and carries messages between them.
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
  #hasListened = false;
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

  /** Passes a signal on to the workers, which then finish their calls. No further workers are started. */
  stop(signal: NodeJS.Signals): void {
    this.#isStopping = true;
    for (const timer of this.#timers) {
      clearTimeout(timer);
    }
    this.#timers.clear();
    for (const { process: worker } of this.#members.values()) {
      worker.process.kill(signal);
    }
    this.#endIfEmpty();
  }

  #fork(): void {
    const worker = cluster.fork();
    const member: Member = { process: worker, isListening: false, reading: [], onReading: undefined };
    this.#members.set(worker.id, member);
    this.#options.logger.info("started a worker", { worker: worker.id, pid: worker.process.pid });
    worker.on("message", (message: FromWorker) => this.#receive(member, message));
    // Sending to a worker that has just died fails. The event `exit` reports its end.
    worker.on("error", () => undefined);
    worker.on("exit", (code: number | null, signal: string | null) => this.#bury(member, code, signal));
  }

  #receive(member: Member, message: FromWorker): void {
    switch (message.type) {
      case "listening":
        member.isListening = true;
        this.#noteListening(message.addresses);
        break;
      case "charges":
        for (const other of this.#members.values()) {
          if (other !== member) {
            tell(other, { type: "charges", charges: message.charges });
          }
        }
        break;
      case "reading":
        member.reading = message.reading;
        member.onReading?.();
        break;
      case "ask metrics":
        void this.#renderAll().then((text) => tell(member, { type: "metrics", id: message.id, text }));
        break;
    }
  }

  #noteListening(addresses: ListeningAddresses): void {
    if (!this.#hasListened && this.#members.values().every(({ isListening }) => isListening)) {
      this.#hasListened = true;
      this.#options.onListening(addresses);
    }
  }

  #bury(member: Member, code: number | null, signal: string | null): void {
    this.#members.delete(member.process.id);
    const readings = [member.reading];
    this.#past = this.#past.then((past) => addCounts([past, ...readings]));
    if (this.#isStopping) {
      // A worker that is still starting does not handle signals yet, and has no calls.
      this.#exitCode = member.isListening ? Math.max(this.#exitCode, code ?? 1) : this.#exitCode;
    } else if (this.#hasListened) {
      this.#options.logger.error("a worker died", { worker: member.process.id, code, signal });
      this.#replace();
    } else {
      // The worker has logged the reason.
      this.#exitCode = 1;
      this.stop("SIGTERM");
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
      this.#exitCode = 1;
      this.stop("SIGTERM");
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
    await Promise.all(this.#members.values().map(readOne));
  }
}

function readOne(member: Member): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const earlier = member.onReading;
  const timer = setTimeout(resolve, READ_PATIENCE_MS);
  member.onReading = () => {
    earlier?.();
    clearTimeout(timer);
    member.onReading = undefined;
    resolve();
  };
  tell(member, { type: "read" });
  return promise;
}

function tell({ process: worker }: Member, message: ToWorker): void {
  if (worker.isConnected()) {
    worker.send(message);
  }
}
