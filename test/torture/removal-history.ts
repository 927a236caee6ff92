import { setImmediate } from "node:timers/promises";
import type { VehicleSource, VehicleStore } from "../../src/vehicle/vehicle.ts";
import { VehicleLookup } from "../../src/vehicle/vehicle-lookup.ts";
import { ChildScript } from "../support/child-script.ts";
import { decodeOf, someVins } from "../support/vehicle-samples.ts";
import { seeded } from "./seeded.ts";

/** A Lookup that was answered, or a Remove that was acknowledged. Times are from a clock that all processes share. */
export interface Step {
  readonly kind: "lookup" | "remove";
  readonly process: string;
  readonly vin: string;
  readonly begunAt: number;
  readonly endedAt: number;
  /** The answer of a Lookup. */
  readonly answer?: {
    readonly cached: boolean;
    /** The process that decoded the VIN. */
    readonly process: string;
    readonly decodeBegunAt: number;
  };
}

export interface RecordingOptions {
  /** Name of the process. */
  readonly process: string;
  readonly seed: number;
  readonly steps: number;
}

const VINS = someVins(3);
const CALLERS = 6;
const REMOVES = 0.25;
const FORCED_DECODES = 0.3;
const MOST_TURNS_PER_DECODE = 20;
const DAY_MS = 86_400_000;

/** Makes concurrent Lookups and Removes of a few VINs, in an order that the seed determines, and records them. */
export async function recordHistory(
  vehicles: VehicleStore,
  { process: name, seed, steps }: RecordingOptions,
): Promise<Step[]> {
  const random = seeded(seed);
  const source: VehicleSource = {
    name: "vpic",
    async decode({ vin }) {
      const begunAt = now();
      for (let turns = random() * MOST_TURNS_PER_DECODE; turns > 0; turns--) {
        await setImmediate();
      }
      return decodeOf(vin, { decodedAt: Date.now(), attributes: { process: name, begunAt: String(begunAt) } });
    },
  };
  const lookup = new VehicleLookup({
    store: vehicles,
    sources: [source],
    freshness: { freshForMs: DAY_MS, staleForMs: DAY_MS, negativeForMs: DAY_MS, snapshotForMs: DAY_MS },
    patienceMs: DAY_MS,
    onSourceFault: () => undefined,
  });
  const { signal } = new AbortController();
  const history: Step[] = [];
  let begun = 0;
  const call = async (): Promise<void> => {
    while (begun++ < steps) {
      const vin = VINS[Math.floor(random() * VINS.length)] ?? VINS[0];
      if (vin === undefined) {
        return;
      }
      const isRemove = random() < REMOVES;
      const maxAgeMs = random() < FORCED_DECODES ? 0 : undefined;
      const begunAt = now();
      try {
        if (isRemove) {
          await lookup.remove(vin);
          history.push({ kind: "remove", process: name, vin, begunAt, endedAt: now() });
        } else {
          const { vehicle, cached } = await lookup.lookup({ query: { vin }, view: "full", maxAgeMs, signal });
          const { process: decoder = "", begunAt: decodeBegunAt } = vehicle.attributes ?? {};
          const answer = { cached, process: decoder, decodeBegunAt: Number(decodeBegunAt) };
          history.push({ kind: "lookup", process: name, vin, begunAt, endedAt: now(), answer });
        }
      } catch {
        // On a busy machine the database may be too slow. A Remove without an acknowledgement promises nothing.
      }
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  return history;
}

/**
 * Replays a history on a model of the cache, and returns the answers that the model cannot give: cached answers to
 * Lookups that began after the acknowledgement of a Remove, from a decode that began before the Remove.
 */
export function violationsOf(history: readonly Step[]): string[] {
  const violations: string[] = [];
  /** The earliest beginning that a cached decode may have, by VIN. */
  const removedAt = new Map<string, number>();
  for (const { kind, process: name, vin, begunAt, answer } of history.toSorted((a, b) => momentOf(a) - momentOf(b))) {
    const earliest = removedAt.get(vin) ?? 0;
    if (kind === "remove") {
      removedAt.set(vin, Math.max(earliest, begunAt));
    } else if (answer?.cached === true && !(answer.decodeBegunAt >= earliest)) {
      violations.push(`${name} answered a removed decode of ${answer.process} for ${vin}`);
    }
  }
  return violations;
}

/** The number of cached answers that another process decoded. */
export function answersOfOthers(history: readonly Step[]): number {
  return history.filter((step) => step.answer?.cached === true && step.answer.process !== step.process).length;
}

/** The number of Removes that began during a decode of the same VIN. */
export function removesDuringDecodes(history: readonly Step[]): number {
  const decodes = history.filter(({ answer }) => answer?.cached === false);
  return history.filter(
    ({ kind, vin, begunAt }) =>
      kind === "remove" &&
      decodes.some(
        (decode) => decode.vin === vin && Number(decode.answer?.decodeBegunAt) < begunAt && begunAt < decode.endedAt,
      ),
  ).length;
}

/** A Lookup may see the cache as it was at any time since its beginning. A Remove counts from its end. */
function momentOf({ kind, begunAt, endedAt }: Step): number {
  return kind === "remove" ? endedAt : begunAt;
}

function now(): number {
  return Number(process.hrtime.bigint());
}

/** The first request to a recording process, which opens the database. */
export interface RecordingTask extends RecordingOptions {
  readonly databaseUrl: string;
}

/** The second request. It is answered with the history. */
export interface RecordingStart {
  readonly begins: true;
}

/** Two processes that record histories on one database. */
export class RecordingProcesses implements AsyncDisposable {
  readonly #scripts = [1, 2].map(
    () => new ChildScript<RecordingTask | RecordingStart, Step[]>(new URL("history-process.ts", import.meta.url)),
  );

  /** Returns the history of both. Each opens the database before either begins. */
  async record(databaseUrl: string, seed: number, steps: number): Promise<Step[]> {
    await Promise.all(
      this.#scripts.map((script, index) =>
        script.ask({ databaseUrl, process: `process ${index}`, seed: 2 * seed + index, steps }),
      ),
    );
    const histories = await Promise.all(this.#scripts.map((script) => script.ask({ begins: true })));
    return histories.flat();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#scripts.map((script) => script[Symbol.asyncDispose]()));
  }
}
