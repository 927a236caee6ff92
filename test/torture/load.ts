import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";

/** Whom to load over gRPC, with what. */
interface LoadTarget {
  readonly address: string;
  readonly connections: number;
  /** Whether each call asks for the vehicle in the cache, or for one that was not asked for before. */
  readonly isCached: boolean;
}

/** What the client does next: keep so many calls running, or send so many a second. */
export type LoadOrder = LoadTarget & { readonly seconds: number } & (
    | { readonly kind: "closed"; readonly atOnce: number }
    | { readonly kind: "open"; readonly perSecond: number }
  );

/** What became of the calls. */
export interface LoadResults {
  /** How long each took that was answered well. */
  readonly goodMs: number[];
  refused: number;
}

/** A client, in a process of its own, that sends Lookups as fast as it is told. */
export class LoadClient implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #target: LoadTarget;

  private constructor(client: ChildProcess, target: LoadTarget) {
    this.#process = client;
    this.#target = target;
  }

  static async start(target: LoadTarget): Promise<LoadClient> {
    const client = fork(new URL("load-client.ts", import.meta.url));
    await once(client, "message");
    return new LoadClient(client, target);
  }

  /** Keeps so many calls running for so long. */
  closed(atOnce: number, seconds: number): Promise<LoadResults> {
    return this.#order({ ...this.#target, kind: "closed", atOnce, seconds });
  }

  /** Sends so many calls a second, whatever becomes of them. */
  open(perSecond: number, seconds: number): Promise<LoadResults> {
    return this.#order({ ...this.#target, kind: "open", perSecond, seconds });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#process, "exit");
    this.#process.kill();
    await gone;
  }

  async #order(order: LoadOrder): Promise<LoadResults> {
    const answered = once(this.#process, "message");
    this.#process.send(order);
    const [results]: LoadResults[] = await answered;
    if (results === undefined) {
      throw new Error("the client ended without a result");
    }
    return results;
  }
}
