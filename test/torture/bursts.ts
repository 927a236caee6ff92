import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../src/access/token.ts";
import type { Ending } from "../bench/calls/connections.ts";
import { openConnection } from "../bench/calls/connections.ts";
import { lookupBytes, malformedBatchBytes } from "../bench/calls/requests.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import type { Finding } from "./finding.ts";
import { measured, none } from "./finding.ts";
import type { Row } from "./row.ts";
import { Target } from "./target.ts";

const ROUNDS = 5;
const SECRET = "vs_torture";

const CALLS = { bytesOf: lookupBytes, connections: 95, callsEach: 100 };
const BURSTS = [
  { what: "calls with a token", protocol: "gRPC", token: SECRET, ...CALLS },
  { what: "calls without a token", protocol: "gRPC", token: undefined, ...CALLS },
  { what: "calls with a token", protocol: "Connect", token: SECRET, ...CALLS },
  { what: "calls without a token", protocol: "Connect", token: undefined, ...CALLS },
  { what: "batch", protocol: "Connect", token: SECRET, bytesOf: malformedBatchBytes, connections: 8, callsEach: 1 },
] as const;
type Burst = (typeof BURSTS)[number];

/** More calls than usual, all of them allowed. `npm run bench -- calls` measures row 10. */
export const rowOfBursts: Row = {
  number: "10b",
  title: "95 connections with 100 calls each at once, and batches of 5,000 malformed VINs",
  test: "ci",
  async *run({ isFull }) {
    await using directory = await temporaryDirectory();
    const tokensFile = join(directory.path, "tokens");
    await writeFile(tokensFile, `torture ${digestOf(SECRET)} lookup\n`);
    const env = { AUTH_TOKENS_FILE: tokensFile };
    await using target = await Target.start({ env, authorization: `Bearer ${SECRET}`, isWarm: isFull });
    for (const burst of BURSTS) {
      yield await endure(target, burst, isFull ? ROUNDS : 1);
    }
  },
};

/** An honest call that arrives after a burst must not wait until the whole burst is answered. */
async function endure(target: Target, burst: Burst, rounds: number): Promise<Finding> {
  let [lost, failed, late] = [0, 0, 0];
  const figures = await target.endure(
    async () => {
      for (let round = 0; round < rounds; round++) {
        const outcome = await send(target, burst);
        lost += outcome.lost;
        failed += outcome.honest === "good" ? 0 : 1;
        late += outcome.left === 0 ? 1 : 0;
      }
    },
    { probeMs: 500 },
  );
  return {
    what: `${burst.connections} connections with ${burst.callsEach} ${burst.what} each, ${burst.protocol}`,
    figures: [
      none("unanswered", lost),
      none("later calls without a good answer", failed),
      // A fast machine has answered the burst before the later call is sent.
      measured("later calls answered only after the burst", late, 0),
      ...figures,
    ],
  };
}

/**
 * Sends a burst to both ports, and then an honest call on a connection of its own. Returns how many calls of the burst
 * were not answered, how the honest call ended, and how many calls of the burst were still running then.
 */
async function send({ service }: Target, { protocol, token, bytesOf, connections: count, callsEach }: Burst) {
  const addresses = [service.grpcAddress, service.httpAddress];
  let [running, lost] = [count * callsEach, 0];
  const ended = Promise.withResolvers<void>();
  const onEnd = (ending: Ending): void => {
    lost += ending === "lost" ? 1 : 0;
    if (--running === 0) {
      ended.resolve();
    }
  };
  const answered = Promise.withResolvers<Ending>();
  const caller = { protocol: "gRPC", address: service.grpcAddress, token: SECRET } as const;
  const [last, ...connections] = await Promise.all([
    openConnection(caller, answered.resolve),
    ...Array.from({ length: count }, (_, index) =>
      openConnection({ protocol, address: addresses[index % 2] ?? "" }, onEnd),
    ),
  ]);
  const bytes = bytesOf({ protocol, address: "localhost", token });
  for (const connection of connections) {
    connection.together(() => {
      for (let call = 0; call < callsEach; call++) {
        connection.call(Buffer.from(bytes), performance.now());
      }
    });
  }
  last.call(lookupBytes(caller), performance.now());
  const honest = await answered.promise;
  const left = running;
  await ended.promise;
  [last, ...connections].forEach((connection) => connection.close());
  return { lost, honest, left };
}
