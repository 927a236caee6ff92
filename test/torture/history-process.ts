/** Answers each order with its history, from a process of its own. */
import { setImmediate } from "node:timers/promises";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import type { Decode, VehicleQuery, VehicleSource, VehicleStore } from "../../src/vehicle/vehicle.ts";
import { VehicleLookup } from "../../src/vehicle/vehicle-lookup.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { MemoryStore } from "../support/memory-store.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { decodeOf } from "../support/vehicle-samples.ts";
import type { Step } from "../support/removal-history.ts";
import { seeded } from "../support/seeded.ts";

/** Concurrent Lookups and Removes of a few VINs, in an order that the seed determines. */
export interface HistoryOrder {
  /** Opened with the first order that names it. Undefined for a store with a bug. */
  readonly databaseUrl: string | undefined;
  readonly seed: number;
  readonly steps: number;
}

const name = String(process.pid);
const VINS = 3;
const CALLERS = 6;
const REMOVES = 0.25;
const FORCED_DECODES = 0.3;
const MOST_TURNS_PER_DECODE = 20;
const DAY_MS = 86_400_000;
/** Only a hang takes so long. */
const PATIENCE_MS = 10_000;

/** Stores a decode even if its VIN was removed after it began. */
class UndoingStore extends MemoryStore {
  override async put(query: VehicleQuery, decode: Decode): Promise<boolean> {
    return super.put(query, decode, await this.removalsOf(query.vin));
  }
}

const stores = new Map<string | undefined, VehicleStore>([[undefined, new UndoingStore()]]);

process.on("message", (order: HistoryOrder) => {
  void record(order).then((history) => process.send?.(history));
});

async function record({ databaseUrl, seed, steps }: HistoryOrder): Promise<Step[]> {
  const store =
    stores.get(databaseUrl) ??
    (await openVehicleStore({ databaseUrl: databaseUrl ?? "", logger: silentLogger, readTimeoutMs: PATIENCE_MS }));
  stores.set(databaseUrl, store);
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
    store,
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
      const vin = parseVin(`1XPWD40X1ED21530${Math.floor(random() * VINS)}`);
      const isRemove = random() < REMOVES;
      const maxAgeMs = random() < FORCED_DECODES ? 0 : undefined;
      const step = { process: name, vin, begunAt: now() };
      try {
        if (isRemove) {
          await lookup.remove(vin);
          history.push({ ...step, kind: "remove", endedAt: now() });
        } else {
          const { vehicle, cached } = await lookup.lookup({ query: { vin }, view: "full", maxAgeMs, signal });
          const { process: decoder = "", begunAt } = vehicle.attributes ?? {};
          const answer = { cached, process: decoder, decodeBegunAt: Number(begunAt) };
          history.push({ ...step, kind: "lookup", endedAt: now(), answer });
        }
      } catch {
        // On a busy machine the database may be too slow. A Remove without an acknowledgement promises nothing.
      }
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, call));
  return history;
}

function now(): number {
  return Number(process.hrtime.bigint());
}
