import { Code } from "@connectrpc/connect";
import { errorOf } from "../support/error-of.ts";
import { MovableAddress } from "../support/movable-address.ts";
import { PostgresServer } from "../support/postgres.ts";
import { removesDuringDecodes, violationsOf } from "../support/removal-history.ts";
import { stamp } from "../support/stamp.ts";
import type { Finding } from "./finding.ts";
import { atLeast, measured, none } from "./finding.ts";
import type { Row } from "./row.ts";
import { startTwoServices, until } from "./two-services.ts";
import { CACHED_VIN } from "./ways.ts";

export const rowOfFailover: Row = {
  number: "19",
  title: "a failover of PostgreSQL",
  test: "ci",
  async *run() {
    yield await failOver("closed");
    yield await failOver("silent");
  },
};

/**
 * Lets a standby take over from a primary under mixed load.
 *
 * @param old what becomes of connections to the old primary; see `MovableAddress`.
 */
async function failOver(old: "closed" | "silent"): Promise<Finding> {
  await using stack = new AsyncDisposableStack();
  const primary = stack.use(await PostgresServer.start({ settings: ["synchronous_standby_names=*"] }));
  const standby = stack.use(await primary.startStandby());
  const address = stack.use(await MovableAddress.start(primary.socketPath));
  const { pathname } = new URL(await primary.createDatabase("failover"));
  const { replicas, load } = await startTwoServices(stack, {
    DATABASE_URL: `postgres://postgres@127.0.0.1:${address.port}${pathname}`,
    // On a busy machine vPIC may be slow.
    VPIC_PATIENCE: "5s",
  });
  const removesSince = (time: number) =>
    load.history.filter(({ kind, begunAt }) => kind === "remove" && begunAt > time);
  const cachedSince = (time: number) => load.history.filter(({ answer, begunAt }) => answer?.cached && begunAt > time);
  let refused = 0;
  /** Removes a vehicle on each service, which must fail. */
  const remove = async (): Promise<void> => {
    for (const { client } of replicas) {
      const { code } = await errorOf(Promise.resolve(client?.remove({ vin: CACHED_VIN })));
      refused += code === Code.Unavailable ? 1 : 0;
    }
  };

  await until(() => removesSince(0).length >= 20);
  if (old === "silent") {
    address.moveTo(standby.socketPath, old);
  }
  await primary.stop();
  const stoppedAt = stamp();
  await remove();
  await remove();
  address.moveTo(standby.socketPath, old);
  await remove();
  await remove();
  const unfounded = removesSince(stoppedAt).length;
  await standby.promote();
  const promotedAt = stamp();
  await until(() => removesSince(promotedAt).length > 0 && cachedSince(promotedAt).length > 0);
  const recoveredMs = stamp() - promotedAt;
  await until(() => removesSince(promotedAt).length >= 20 && cachedSince(promotedAt).length >= 20);
  await load[Symbol.asyncDispose]();
  await load.lookUpRemoved();

  const { history, failures } = load;
  return {
    what: `two services, old connections ${old}, ${history.length} Lookups and Removes`,
    figures: [
      none(`failed Lookups (${failures[0] ?? "none"})`, failures.length),
      atLeast("Removes refused with UNAVAILABLE", refused, 4 * replicas.length),
      none("Removes acknowledged without a primary", unfounded),
      none("answers from before a Remove", violationsOf(history).length),
      atLeast("Removes during decodes", removesDuringDecodes(history), 1),
      measured("ms from the promotion to the recovery", recoveredMs, 10_000),
    ],
  };
}
