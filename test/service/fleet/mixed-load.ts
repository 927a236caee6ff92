import { setTimeout as pause } from "node:timers/promises";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { ConnectError } from "@connectrpc/connect";
import type { LookupResponse, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { Source, View } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { FakeVpic } from "../../support/fake-vpic.ts";
import { stamp } from "../../support/stamp.ts";
import { seeded } from "../../support/seeded.ts";
import type { Step } from "../../support/removal-history.ts";
import type { Replica } from "./replica.ts";

/** A call that got no answer. */
interface Unanswered {
  readonly replica: Replica;
  readonly begunAt: number;
  readonly endedAt: number;
  readonly reason: string;
}

/** The vPIC variable that contains the time of the request. */
const STAMP = "PlantCity";
const MOST_ANSWER_MS = 300;

const HOT_VINS = 4;
const HOT_CALLERS = 6;
const COLD_CALLERS = 4;
const BATCH_CALLERS = 2;
/** The number of callers that look up the same new VIN at about the same time. */
const CALLS_PER_COLD_VIN = 3;
const BATCH_SIZE = 10;
const REMOVES = 0.25;
const FORCED_DECODES = 0.25;
const PAUSE_MS = 20;
/** A call without an answer after this time never gets one, because the service answers within 10 s. */
const HANG_MS = 15_000;

/** Makes vPIC delay each answer, and put the time of the request into it. */
export function answerWithStamps(vpic: FakeVpic, seed: number): void {
  const random = seeded(seed);
  vpic.respondWith(({ vins, receivedAt }) => {
    for (const vin of vins) {
      vpic.setFacts(vin, { [STAMP]: String(receivedAt) });
    }
    return { kind: "answer", delayMs: random() * MOST_ANSWER_MS };
  });
}

/**
 * Callers that look up and remove VINs on all replicas. They use a few VINs again and again, and new VINs that several
 * callers look up at once.
 */
export class MixedLoad implements AsyncDisposable {
  /** The Lookups that were answered and the Removes that were acknowledged. */
  readonly history: Step[] = [];
  readonly #replicas: readonly Replica[];
  readonly #vins: readonly string[];
  readonly #random: () => number;
  readonly #stop = new AbortController();
  readonly #errors: string[] = [];
  readonly #unanswered: Unanswered[] = [];
  readonly #running: Promise<unknown>;
  #coldCalls = 0;

  /** @param vins all VINs; the first ones are looked up again and again */
  constructor(replicas: readonly Replica[], vins: readonly string[], seed: number) {
    this.#replicas = replicas;
    this.#vins = vins;
    this.#random = seeded(seed);
    this.#running = Promise.all([
      ...Array.from({ length: HOT_CALLERS }, () => this.#repeat(() => this.#callHot())),
      ...Array.from({ length: COLD_CALLERS }, () => this.#repeat(() => this.#callCold())),
      ...Array.from({ length: BATCH_CALLERS }, () => this.#repeat(() => this.#callBatch())),
    ]);
  }

  /** Lookups that failed although a source could answer, and unanswered calls to a replica that was not killed then. */
  get failures(): string[] {
    const lost = this.#unanswered.filter(
      ({ replica, begunAt, endedAt }) => !replica.kills.some(({ from, to }) => begunAt <= to && endedAt >= from),
    );
    return [...this.#errors, ...lost.map(({ replica, reason }) => `${replica.name} did not answer: ${reason}`)];
  }

  /** Looks up every removed VIN on all workers. */
  async lookUpRemoved(): Promise<void> {
    const removed = new Set(this.history.filter(({ kind }) => kind === "remove").map(({ vin }) => vin));
    // A replica's workers get connections in turn, so two batches reach both workers.
    for (const replica of [...this.#replicas, ...this.#replicas]) {
      await this.#lookUpBatch(replica, [...removed]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #repeat(call: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await call();
      await pause(PAUSE_MS);
    }
  }

  async #callHot(): Promise<void> {
    const vin = this.#pick(this.#vins.slice(0, HOT_VINS));
    if (this.#random() < REMOVES) {
      await this.#remove(this.#pick(this.#replicas), vin);
    } else {
      await this.#lookUp(this.#pick(this.#replicas), vin, this.#random() < FORCED_DECODES ? { maxAge: {} } : {});
    }
  }

  async #callCold(): Promise<void> {
    const vin = this.#coldVin();
    await this.#lookUp(this.#pick(this.#replicas), vin, {});
    if (this.#random() < REMOVES) {
      await this.#remove(this.#pick(this.#replicas), vin);
    }
  }

  async #callBatch(): Promise<void> {
    const vins = Array.from({ length: BATCH_SIZE }, () => this.#coldVin());
    await this.#lookUpBatch(this.#pick(this.#replicas), [this.#pick(this.#vins.slice(0, HOT_VINS)), ...vins]);
  }

  #coldVin(): string {
    const index = HOT_VINS + Math.floor(this.#coldCalls++ / CALLS_PER_COLD_VIN);
    return this.#vins[index % this.#vins.length] ?? "";
  }

  #pick<T>(choices: readonly T[]): T {
    const choice = choices[Math.floor(this.#random() * choices.length)];
    if (choice === undefined) {
      throw new Error("there is nothing to choose from");
    }
    return choice;
  }

  #lookUp(replica: Replica, vin: string, options: { readonly maxAge?: object }): Promise<void> {
    return this.#call(replica, `Lookup of ${vin}`, async (client, signal) => {
      const begunAt = stamp();
      const response = await client.lookup({ vin, view: View.FULL, ...options }, { signal });
      this.#noteAnswer(replica, vin, begunAt, response);
    });
  }

  #lookUpBatch(replica: Replica, vins: readonly string[]): Promise<void> {
    return this.#call(replica, "BatchLookup", async (client, signal) => {
      const begunAt = stamp();
      for await (const { index, vin, result } of client.batchLookup({ vins: [...vins], view: View.FULL }, { signal })) {
        if (result.case === "vehicle") {
          this.#noteAnswer(replica, vins[index] ?? "", begunAt, result.value);
        } else {
          this.#errors.push(`${replica.name} answered ${vin} in a batch: ${result.value?.message ?? "nothing"}`);
        }
      }
    });
  }

  #remove(replica: Replica, vin: string): Promise<void> {
    return this.#call(replica, "Remove", async (client, signal) => {
      const begunAt = stamp();
      await client.remove({ vin }, { signal });
      this.history.push({ kind: "remove", process: replica.name, vin, begunAt, endedAt: stamp() });
    });
  }

  /** Makes a call, unless the replica is not running. A Remove may fail, because it needs the database. */
  async #call(
    replica: Replica,
    name: string,
    work: (client: Client<typeof VehicleService>, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (replica.client === undefined) {
      return;
    }
    const begunAt = stamp();
    try {
      await work(replica.client, AbortSignal.timeout(HANG_MS));
    } catch (error) {
      const { details, message } = ConnectError.from(error);
      if (details.length === 0) {
        const endedAt = stamp();
        const reason = `${name} after ${Math.round(endedAt - begunAt)} ms: ${message}`;
        this.#unanswered.push({ replica, begunAt, endedAt, reason });
      } else if (name !== "Remove") {
        this.#errors.push(`${replica.name} answered ${name}: ${message}`);
      }
    }
  }

  #noteAnswer(replica: Replica, vin: string, begunAt: number, response: LookupResponse): void {
    if (response.vin !== vin) {
      this.#errors.push(`${replica.name} answered ${response.vin} for ${vin}`);
    }
    const isOfVpic = response.source === Source.VPIC;
    this.history.push({
      kind: "lookup",
      process: replica.name,
      vin,
      begunAt,
      endedAt: stamp(),
      answer: {
        cached: response.cached,
        process: isOfVpic ? "vPIC" : "the snapshot",
        // For the snapshot, the time of the answer counts. It is in whole ms, so 1 ms is added.
        decodeBegunAt: isOfVpic
          ? Number(response.attributes[STAMP])
          : response.decodeTime === undefined
            ? NaN
            : timestampMs(response.decodeTime) + 1,
      },
    });
  }
}
