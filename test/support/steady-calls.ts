import { setTimeout as pause } from "node:timers/promises";

import { ConnectError } from "@connectrpc/connect";

/** Makes one call, and rejects when it fails. */
export type MakeCall = () => Promise<unknown>;

const PAUSE_MS = 50;

/** Callers that each make one call after the other. Failures are recorded. */
export class SteadyCalls implements AsyncDisposable {
  /** The failures so far, such as `grpc-js: [unauthenticated] ...`. */
  readonly failures: string[] = [];
  readonly #stop = new AbortController();
  readonly #done = new Map<string, number>();
  readonly #running: Promise<unknown>;

  /** @param callers by the name that is shown with their failures */
  constructor(callers: Readonly<Record<string, MakeCall>>) {
    this.#running = Promise.all(Object.entries(callers).map(([name, call]) => this.#goOn(name, call)));
  }

  /** Resolves when every caller has made this many more calls. */
  async more(calls: number): Promise<void> {
    // A caller may be ahead of the others.
    const before = new Map(this.#done);
    while (this.#done.entries().some(([name, done]) => done < (before.get(name) ?? 0) + calls)) {
      await pause(PAUSE_MS);
    }
  }

  /** Stops, waits for the last calls, and returns the failures. */
  async stop(): Promise<readonly string[]> {
    await this[Symbol.asyncDispose]();
    return this.failures;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #goOn(name: string, call: MakeCall): Promise<void> {
    this.#done.set(name, 0);
    while (!this.#stop.signal.aborted) {
      try {
        await call();
      } catch (error) {
        this.failures.push(`${name}: ${ConnectError.from(error).message}`);
      }
      this.#done.set(name, (this.#done.get(name) ?? 0) + 1);
      await pause(PAUSE_MS);
    }
  }
}
