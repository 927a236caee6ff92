import { readdir } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import { violationsOf } from "../support/removal-history.ts";
import { seeded } from "../support/seeded.ts";
import { atLeast, measured, none } from "./finding.ts";
import type { Row } from "./row.ts";
import { startTwoServices, until } from "./two-services.ts";

const MOST_STEPS_BETWEEN_KILLS = 100;

/** Kills one of two services at a time. The tests of fleets kill workers, and replicas on PostgreSQL. */
export const rowOfKills: Row = {
  number: "15",
  title: "kill -9 under mixed load",
  test: "always",
  async *run({ isFull }) {
    await using stack = new AsyncDisposableStack();
    const { directory, replicas, load } = await startTwoServices(stack);
    const random = seeded(1);
    const kills = isFull ? 50 : 2;
    const leftovers: string[] = [];
    let startMs = 0;
    for (let kill = 0; kill < kills; kill++) {
      const steps = load.history.length + random() * MOST_STEPS_BETWEEN_KILLS;
      await until(() => load.history.length >= steps);
      const victim = replicas[kill % 2 === 0 ? 0 : 1];
      const unread = victim.client?.export({})[Symbol.asyncIterator]();
      await unread?.next();
      const exporting = Promise.allSettled([Array.fromAsync(victim.client?.export({}) ?? [])]);
      const killedAt = performance.now();
      await victim.killAll();
      startMs = Math.max(startMs, performance.now() - killedAt);
      await exporting;
      leftovers.push(...(await readdir(join(directory, "exports"))));
    }
    await load[Symbol.asyncDispose]();
    await load.lookUpRemoved();

    const database = new Database(join(directory, "vehicles.db"), { readonly: true });
    const integrity = String(database.pragma("integrity_check", { simple: true }));
    database.close();
    yield {
      what: `two services on one SQLite file, ${kills} kills`,
      figures: [
        atLeast("acknowledged Removes", load.history.filter(({ kind }) => kind === "remove").length, kills),
        none("answers from before a Remove", violationsOf(load.history).length),
        none(`faults of the database (${integrity})`, integrity === "ok" ? 0 : 1),
        none("temporary files left", leftovers.length),
        measured("longest start ms", startMs, 2_000),
      ],
    };
  },
};
