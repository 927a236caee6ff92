import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { digestOf } from "../../src/access/token.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Ending } from "../bench/calls/connections.ts";
import { openConnection } from "../bench/calls/connections.ts";
import type { Outcome, Target as CalledTarget } from "../bench/calls/load.ts";
import { Load } from "../bench/calls/load.ts";
import { lookupBytes, malformedBatchBytes } from "../bench/calls/requests.ts";
import type { Finding } from "./finding.ts";
import { exactly, measured } from "./finding.ts";
import type { Arena, Row } from "./row.ts";
import { Target } from "./target.ts";

const BURSTS = 5;
const SOAK_PER_SECOND = 200;
const SOAK_WARM_UP_S = 120;
const SOAK_S = 300;
const SOAK_SAMPLE_S = 5;
const SECRET = "vs_torture";

/** Many calls at once on each of several connections. */
interface Burst {
  readonly what: string;
  readonly protocol: CalledTarget["protocol"];
  readonly bytesOf: (target: CalledTarget) => Buffer;
  readonly connections: number;
  /** Calls on each connection. */
  readonly calls: number;
  readonly token?: string | undefined;
}

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
        authorization: `Bearer ${SECRET}`,
      });
      const findings: Finding[] = [];
      for (const protocol of ["gRPC", "Connect"] as const) {
        const calls = { protocol, bytesOf: lookupBytes, connections: 95, calls: 100 };
        findings.push(
          await endureBurst(arena, open, undefined, { what: "calls", ...calls }),
          await endureBurst(arena, guarded, SECRET, { what: "calls with a token", ...calls, token: SECRET }),
          await endureBurst(arena, guarded, SECRET, { what: "calls without a token", ...calls }),
        );
      }
      const batch = {
        what: "batches",
        protocol: "Connect",
        bytesOf: malformedBatchBytes,
        connections: 8,
        calls: 1,
      } as const;
      findings.push(await endureBurst(arena, open, undefined, batch));
      return findings;
    },
  },
  { number: "21", title: "soak at 200 calls per second", test: "never", run: async () => [await soak()] },
];

/**
 * An honest call that arrives after a burst must not wait until the whole burst is answered.
 *
 * @param token of the honest caller
 */
async function endureBurst(arena: Arena, target: Target, token: string | undefined, burst: Burst): Promise<Finding> {
  const outcomes: BurstOutcome[] = [];
  const figures = await target.endure(
    async () => {
      for (let round = 0; round < arena.count(BURSTS, 1); round++) {
        outcomes.push(await sendBurst(target, token, burst));
      }
    },
    { probeMs: 500 },
  );
  const lost = outcomes.reduce((sum, outcome) => sum + outcome.lost, 0);
  return {
    what: `${burst.connections} connections with ${burst.calls} ${burst.what} each, ${burst.protocol}`,
    figures: [
      exactly("unanswered", lost, 0),
      exactly("later calls without a good answer", outcomes.filter(({ later }) => later !== "good").length, 0),
      // A fast machine has answered the burst before the later call is sent.
      measured("running when it had its answer", Math.min(...outcomes.map(({ left }) => left)), { atLeast: 1 }),
      ...figures,
    ],
  };
}

interface BurstOutcome {
  /** Calls of the burst that were not answered. */
  readonly lost: number;
  /** How an honest call ended that was sent after the burst. */
  readonly later: Ending;
  /** Calls of the burst that were still running then. */
  readonly left: number;
}

/** Sends a burst to both ports, and then an honest call on a connection of its own. */
async function sendBurst(target: Target, token: string | undefined, burst: Burst): Promise<BurstOutcome> {
  const { protocol, connections, calls } = burst;
  const bytes = burst.bytesOf({ protocol, address: "localhost", token: burst.token });
  const honest = { protocol: "gRPC", address: target.addressOf("grpc"), token } as const;
  let [running, lost] = [connections * calls, 0];
  const ended = Promise.withResolvers<void>();
  const later = Promise.withResolvers<Ending>();
  const onEnd = (ending: Ending): void => {
    lost += ending === "lost" ? 1 : 0;
    running--;
    if (running === 0) {
      ended.resolve();
    }
  };
  const [honestConnection, ...burstConnections] = await Promise.all([
    openConnection(honest, later.resolve),
    ...Array.from({ length: connections }, (_, index) =>
      openConnection({ protocol, address: target.addressOf(index % 2 === 0 ? "grpc" : "http") }, onEnd),
    ),
  ]);
  for (const connection of burstConnections) {
    connection.together(() => {
      for (let call = 0; call < calls; call++) {
        connection.call(Buffer.from(bytes), performance.now());
      }
    });
  }
  honestConnection.call(lookupBytes(honest), performance.now());
  const ending = await later.promise;
  const left = running;
  await ended.promise;
  [honestConnection, ...burstConnections].forEach((connection) => connection.close());
  return { lost, later: ending, left };
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
