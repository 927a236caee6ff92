import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { BatchLookupRequestSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { digestOf } from "../../src/access/token.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Outcome } from "../bench/calls/load.ts";
import { Load } from "../bench/calls/load.ts";
import type { Burst } from "./burst.ts";
import { callOn, sendBurst } from "./burst.ts";
import type { Finding } from "./finding.ts";
import { exactly, measured } from "./finding.ts";
import { BATCH_LOOKUP, LOOKUP, LOOKUP_MESSAGE } from "./requests.ts";
import type { Arena, Row } from "./row.ts";
import { Target } from "./target.ts";

const BURSTS = 5;
const SOAK_PER_SECOND = 200;
const SOAK_WARM_UP_S = 120;
const SOAK_S = 300;
const SOAK_SAMPLE_S = 5;
const SECRET = "vs_torture";
const AUTHORIZATION = `Bearer ${SECRET}`;

/** More calls than usual, all of them allowed. `npm run bench -- calls` measures row 10. */
export const rowsOfLoad: readonly Row[] = [
  {
    number: "10b",
    title: "95 connections with 100 calls each at once, and batches of 5,000 malformed VINs",
    test: "ci",
    async run(arena) {
      await using directory = await temporaryDirectory();
      const tokensFile = join(directory.path, "tokens");
      await writeFile(tokensFile, `torture ${digestOf(SECRET)} lookup\n`);
      await using open = await Target.start({ isWarm: arena.isFull });
      await using guarded = await Target.start({
        env: { AUTH_TOKENS_FILE: tokensFile },
        authorization: AUTHORIZATION,
      });
      const findings: Finding[] = [];
      for (const protocol of ["h2", "http/1.1"] as const) {
        const calls = { connections: 95, calls: 100, protocol, path: LOOKUP, message: LOOKUP_MESSAGE } as const;
        const batches = { connections: 8, calls: 1, protocol, path: BATCH_LOOKUP, message: malformedBatch() } as const;
        findings.push(
          await endureBurst(arena, open, { what: "calls", ...calls }),
          await endureBurst(arena, guarded, { what: "calls with a token", ...calls, authorization: AUTHORIZATION }),
          await endureBurst(arena, guarded, { what: "calls without a token", ...calls }, AUTHORIZATION),
          await endureBurst(arena, open, { what: "batches", ...batches }),
        );
      }
      return findings;
    },
  },
  { number: "21", title: "soak at 200 calls per second", test: "never", run: async () => [await soak()] },
];

function malformedBatch(): Uint8Array {
  const vins = Array.from({ length: 5_000 }, (_, index) => `I${index}`);
  return toBinary(BatchLookupRequestSchema, create(BatchLookupRequestSchema, { vins }));
}

/** An honest call that arrives after a burst must not wait until the whole burst is answered. */
async function endureBurst(
  arena: Arena,
  target: Target,
  burst: Burst,
  authorization = burst.authorization,
): Promise<Finding> {
  const expected = burst.connections * burst.calls;
  let [answered, left, isGood] = [0, 0, false];
  const figures = await target.endure(
    async () => {
      for (let round = 0; round < arena.count(BURSTS, 1); round++) {
        using honest = await target.open("grpc", "h2");
        answered = await sendBurst(target, burst, async (progress) => {
          isGood = await callOn(honest, LOOKUP_MESSAGE, authorization);
          left = expected - progress.answered;
        });
      }
    },
    { probeMs: 500 },
  );
  return {
    what: `${burst.connections} connections with ${burst.calls} ${burst.what} each, ${burst.protocol}`,
    figures: [
      exactly("answered", answered, expected),
      exactly("good answers to a later call", isGood ? 1 : 0, 1),
      // A fast machine has answered the burst before the later call is sent.
      measured("unanswered when it had its answer", left, { atLeast: 1 }),
      ...figures,
    ],
  };
}

async function soak(): Promise<Finding> {
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
  const { good, refused, lost } = await calls;
  return {
    what: `${good.count} calls in ${SOAK_S} s`,
    figures: [
      exactly("refused or lost", refused + lost, 0),
      measured("memory MiB/min", slopeOf(samples), { atMost: 1 }),
      measured("p99 ms", good.p99Ms),
    ],
  };
}

/** By least squares. */
function slopeOf(samples: readonly { readonly minutes: number; readonly mib: number }[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(samples.map(({ minutes }) => minutes)), mean(samples.map(({ mib }) => mib))];
  const covariance = mean(samples.map(({ minutes, mib }) => (minutes - x) * (mib - y)));
  return covariance / mean(samples.map(({ minutes }) => (minutes - x) ** 2));
}
