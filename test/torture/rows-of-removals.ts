import { join } from "node:path";
import { PostgresServer } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { failOver } from "./failover.ts";
import type { Finding } from "./finding.ts";
import { counted, exactly, measured } from "./finding.ts";
import { killUnderLoad } from "./kills.ts";
import { answersOfOthers, RecordingProcesses, removesDuringDecodes, violationsOf } from "./removal-history.ts";
import type { Row } from "./row.ts";

const SEEDS = 5;
const STEPS = 1_000;

/** Removes that must not be undone. */
export const rowsOfRemovals: readonly Row[] = [
  {
    number: "15",
    title: "kill -9 under mixed load",
    test: "always",
    async run(arena) {
      const kills = arena.count(50, 2);
      const { removals, undone, integrity, leftovers, startMs } = await killUnderLoad(kills);
      return [
        {
          what: `two services on one SQLite file, ${kills} kills`,
          figures: [
            counted("acknowledged Removes", removals, { atLeast: kills }),
            exactly("of them undone", undone.length, 0),
            exactly(`faults of the database (${String(integrity)})`, integrity === "ok" ? 0 : 1, 0),
            exactly("temporary files left", leftovers.length, 0),
            measured("longest start ms", startMs, { atMost: 2_000 }),
          ],
        },
      ];
    },
  },
  {
    number: "16",
    title: "histories of Lookups and Removes on two processes",
    // histories.test.ts tests this with the PostgreSQL that it shares with other tests.
    test: "never",
    async run() {
      await using processes = new RecordingProcesses();
      await using directory = await temporaryDirectory();
      await using server = await PostgresServer.start();
      const findings: Finding[] = [];
      for (const databaseUrl of [
        `sqlite:${join(directory.path, "vehicles.db")}`,
        await server.createDatabase("rows"),
      ]) {
        for (let seed = 1; seed <= SEEDS; seed++) {
          const history = await processes.record(databaseUrl, seed, STEPS);
          findings.push({
            what: `${databaseUrl.split(":")[0]}, seed ${seed}`,
            figures: [
              exactly("violations", violationsOf(history).length, 0),
              counted("answers from the other's decodes", answersOfOthers(history), { atLeast: 1 }),
              counted("Removes during decodes", removesDuringDecodes(history), { atLeast: 1 }),
            ],
          });
        }
      }
      return findings;
    },
  },
  {
    number: "19",
    title: "a failover of PostgreSQL",
    test: "ci",
    async run() {
      const findings: Finding[] = [];
      for (const old of ["closed", "silent"] as const) {
        const results = await failOver(old);
        findings.push({
          what: `two services, old connections ${old}, ${results.removals} Removes and ${results.lookups} Lookups`,
          figures: [
            exactly(`failed Lookups (${results.failedLookups[0] ?? "none"})`, results.failedLookups.length, 0),
            counted("Removes refused with UNAVAILABLE", results.refused, { atLeast: 6 }),
            exactly(`failed otherwise (${results.otherFailures[0] ?? "none"})`, results.otherFailures.length, 0),
            exactly("acknowledged without a primary", results.unfounded, 0),
            exactly("acknowledged and undone", results.undone.length, 0),
            measured("ms from the promotion to the recovery", results.recoveredMs, { atMost: 10_000 }),
          ],
        });
      }
      return findings;
    },
  },
];
