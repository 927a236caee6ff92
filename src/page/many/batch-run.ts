import type { BatchLookupResponse, LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Code } from "@connectrpc/connect";
import type { Failure } from "../failure.ts";
import { toFailure } from "../failure.ts";
import { keyOf, type Query } from "../query.ts";
import { badgeOf, remarksOf } from "../vehicle-words.ts";
import { toSentence } from "../words.ts";

/** What became of one query. */
export type Outcome =
  | { readonly state: "waiting" }
  | { readonly state: "vehicle"; readonly vehicle: LookupResponse }
  | {
      readonly state: "failed";
      readonly sentence: string;
      readonly likelyVin: string;
      /** Whether it may succeed when it is sent again. */
      readonly isTransient: boolean;
    };

/** What the run does at the moment. */
export type Phase =
  | { readonly kind: "running" }
  /** Waits as long as the service asks. */
  | { readonly kind: "pausing"; readonly cause: string; readonly resumesAt: number }
  | { readonly kind: "stopped" }
  /** Not all were answered. */
  | { readonly kind: "broken"; readonly failure: Failure }
  | { readonly kind: "done" };

/** Asks for a batch. */
export type AskBatch = (queries: readonly Query[], signal: AbortSignal) => AsyncIterable<BatchLookupResponse>;

export interface BatchRunOptions {
  readonly queries: readonly Query[];
  readonly ask: AskBatch;
  /** Called after each change; often. */
  readonly onChange: () => void;
  /** Waits; rejects when aborted. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly now?: () => number;
}

/** The most that one call takes. */
const MAX_BATCH_VINS = 5_000;
const DEFAULT_PAUSE_MS = 1_000;
const WAITING: Outcome = { state: "waiting" };
const UNAVAILABLE = Code.Unavailable as number;

/** Looks up a list of different queries in batches, one after the other, and keeps what became of each. */
export class BatchRun {
  readonly #options: BatchRunOptions;
  /** By the keys of the queries. */
  readonly #outcomes: Map<string, Outcome>;
  #controller = new AbortController();
  #phase: Phase = { kind: "stopped" };
  #answered = 0;
  #failed = 0;

  constructor(options: BatchRunOptions) {
    this.#options = options;
    this.#outcomes = new Map(options.queries.map((query) => [keyOf(query), WAITING]));
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** How many queries have an outcome, and how many of these have none but a failure. */
  get counts(): { readonly total: number; readonly answered: number; readonly failed: number } {
    return { total: this.#outcomes.size, answered: this.#answered, failed: this.#failed };
  }

  outcomeOf(query: Query): Outcome {
    return this.#outcomes.get(keyOf(query)) ?? WAITING;
  }

  /** The queries without an outcome, and those whose failure may pass. */
  get open(): readonly Query[] {
    return this.#options.queries.filter((query) => isOpen(this.outcomeOf(query)));
  }

  /** Sends everything that is open. Never fails: see {@link phase}. */
  async start(ask = this.#options.ask): Promise<void> {
    const controller = new AbortController();
    this.#controller.abort();
    this.#controller = controller;
    const open = this.open;
    for (const query of open) {
      this.#set(query, WAITING);
    }
    this.#enter({ kind: "running" });
    for (let start = 0; start < open.length && this.#phase.kind === "running"; start += MAX_BATCH_VINS) {
      await this.#sendAll(open.slice(start, start + MAX_BATCH_VINS), ask, controller.signal);
    }
    if (this.#controller === controller && this.#phase.kind === "running") {
      this.#enter({ kind: "done" });
    }
  }

  /** Stops. What was not answered stays open. */
  stop(): void {
    this.#controller.abort();
    this.#enter({ kind: "stopped" });
  }

  /** Sends a batch, again and again while the rate limit wants a pause. */
  async #sendAll(batch: readonly Query[], ask: AskBatch, signal: AbortSignal): Promise<void> {
    for (;;) {
      const queries = batch.filter((query) => this.outcomeOf(query) === WAITING);
      const failure = await this.#send(queries, ask, signal);
      if (signal.aborted || failure === undefined) {
        return;
      }
      if (failure.kind !== "limited") {
        this.#breakOff(queries, failure);
        return;
      }
      const pauseMs = failure.retryAfterMs ?? DEFAULT_PAUSE_MS;
      const { now = Date.now, wait } = this.#options;
      this.#enter({ kind: "pausing", cause: failure.cause ?? failure.sentence, resumesAt: now() + pauseMs });
      try {
        await wait(pauseMs, signal);
      } catch {
        return;
      }
      this.#enter({ kind: "running" });
    }
  }

  /** Sends queries once. Returns why not all were answered. */
  async #send(queries: readonly Query[], ask: AskBatch, signal: AbortSignal): Promise<Failure | undefined> {
    try {
      for await (const answer of ask(queries, signal)) {
        const query = queries[answer.index];
        if (signal.aborted) {
          return undefined;
        }
        if (query !== undefined) {
          this.#set(query, toOutcome(answer));
          this.#options.onChange();
        }
      }
    } catch (error) {
      return toFailure(error);
    }
    return queries.some((query) => this.outcomeOf(query) === WAITING)
      ? { kind: "transient", sentence: "The answer ended before all VINs were answered." }
      : undefined;
  }

  /** What a broken stream has not answered has failed. After a refusal nothing was tried. */
  #breakOff(queries: readonly Query[], failure: Failure): void {
    if (failure.kind === "transient") {
      for (const query of queries.filter((each) => this.outcomeOf(each) === WAITING)) {
        this.#set(query, { state: "failed", sentence: "Not answered.", likelyVin: "", isTransient: true });
      }
    }
    this.#enter({ kind: "broken", failure });
  }

  #set(query: Query, outcome: Outcome): void {
    const old = this.outcomeOf(query);
    this.#answered += Number(outcome !== WAITING) - Number(old !== WAITING);
    this.#failed += Number(outcome.state === "failed") - Number(old.state === "failed");
    this.#outcomes.set(keyOf(query), outcome);
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#options.onChange();
  }
}

/** Whether a person should look at an outcome: it failed, or the vehicle was not decoded clean. */
export function isProblem(outcome: Outcome): boolean {
  return outcome.state === "failed" || (outcome.state === "vehicle" && !isClean(outcome.vehicle));
}

function isClean({ verdict }: LookupResponse): boolean {
  return badgeOf(verdict?.codes ?? []).tone === "good";
}

function isOpen(outcome: Outcome): boolean {
  return outcome.state === "waiting" || (outcome.state === "failed" && outcome.isTransient);
}

function toOutcome({ result, errorInfo }: BatchLookupResponse): Outcome {
  if (result.case === "vehicle") {
    return { state: "vehicle", vehicle: result.value };
  }
  const { code = 0, message = "The service gave no reason" } = result.value ?? {};
  // The message names the VIN, which stands beside it, and says that it is not decoded, as the badge does.
  const notDecoded = errorInfo?.reason === "VIN_NOT_DECODED" ? errorInfo.metadata["text"] : undefined;
  return {
    state: "failed",
    sentence: notDecoded === undefined ? toSentence(message) : remarksOf(notDecoded).map(toSentence).join(" "),
    likelyVin: errorInfo?.metadata["likely_vin"] ?? "",
    isTransient: code === UNAVAILABLE,
  };
}
