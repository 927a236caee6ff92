import { setTimeout as pause } from "node:timers/promises";
import { answerWithStamps, MixedLoad } from "../service/fleet/mixed-load.ts";
import { Replica } from "../service/fleet/replica.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { UNLIMITED } from "./target.ts";

const SEED = 15;

/**
 * Starts two services on one database, a SQLite file in `directory` by default, and callers that look up and remove.
 *
 * @param stack owns them from then on
 */
export async function startTwoServices(
  stack: AsyncDisposableStack,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly directory: string; readonly replicas: readonly [Replica, Replica]; readonly load: MixedLoad }> {
  const { path } = stack.use(await temporaryDirectory());
  const vpic = stack.use(await startFakeVpic());
  answerWithStamps(vpic, SEED);
  const start = async (name: string): Promise<Replica> =>
    stack.use(await Replica.start(name, { DATA_DIR: path, VPIC_URL: vpic.url, ...UNLIMITED, ...env }, "src/main.ts"));
  const replicas = [await start("first"), await start("second")] as const;
  return { directory: path, replicas, load: stack.use(new MixedLoad(replicas, manyVins(20_000), SEED)) };
}

/** Waits until a condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await pause(20);
  }
}
