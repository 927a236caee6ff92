import { setTimeout as pause } from "node:timers/promises";
import type { Outcome } from "../bench/calls/load.ts";
import { Load } from "../bench/calls/load.ts";
import { measured, none } from "./finding.ts";
import type { Row } from "./row.ts";
import { Target } from "./target.ts";

const SOAK_PER_SECOND = 200;
const SOAK_WARM_UP_S = 120;
const SOAK_S = 300;
const SOAK_SAMPLE_S = 5;

export const rowOfSoak: Row = {
  number: "21",
  title: "soak at 200 calls per second",
  test: "never",
  async *run() {
    await using target = await Target.start({ isWarm: true });
    await using load = Load.start();
    const call = (seconds: number): Promise<Outcome> =>
      load.run({
        target: { protocol: "gRPC", address: target.service.grpcAddress },
        request: "cached Lookup",
        connections: 10,
        callsEach: 100,
        pace: { kind: "open", perSecond: SOAK_PER_SECOND, seconds },
      });
    await call(SOAK_WARM_UP_S);
    const samples: { readonly minutes: number; readonly mib: number }[] = [];
    const startedAt = performance.now();
    const calls = call(SOAK_S);
    while (samples.length < SOAK_S / SOAK_SAMPLE_S) {
      await pause(SOAK_SAMPLE_S * 1_000);
      samples.push({ minutes: (performance.now() - startedAt) / 60_000, mib: await target.memoryMib() });
    }
    const { good, refused, lost, unsent } = await calls;
    yield {
      what: `${good.count} calls in ${SOAK_S} s`,
      figures: [
        none("refused, lost or not sent", refused + lost + unsent),
        measured("memory MiB/min", slopeOf(samples), 1),
        measured("p99 ms", good.p99Ms),
      ],
    };
  },
};

/** By least squares. */
function slopeOf(samples: readonly { readonly minutes: number; readonly mib: number }[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(samples.map(({ minutes }) => minutes)), mean(samples.map(({ mib }) => mib))];
  const covariance = mean(samples.map(({ minutes, mib }) => (minutes - x) * (mib - y)));
  return covariance / mean(samples.map(({ minutes }) => (minutes - x) ** 2));
}
