import { join } from "node:path";
import { ChildScript } from "../support/child-script.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { atLeast, none } from "./finding.ts";
import type { HistoryOrder } from "./history-process.ts";
import type { Step } from "../support/removal-history.ts";
import { answersOfOthers, removesDuringDecodes, violationsOf } from "../support/removal-history.ts";
import type { Row } from "./row.ts";

export const rowOfHistories: Row = {
  number: "16",
  title: "histories of Lookups and Removes on two processes",
  test: "always",
  async *run({ isFull, createDatabase }) {
    await using stack = new AsyncDisposableStack();
    const { path } = stack.use(await temporaryDirectory());
    const start = (): ChildScript<HistoryOrder, Step[]> =>
      stack.use(new ChildScript<HistoryOrder, Step[]>(new URL("history-process.ts", import.meta.url)));
    const recorders = [start(), start()];
    const record = async (databaseUrl: string | undefined, seed: number, steps: number): Promise<Step[]> => {
      const histories = recorders.map((recorder, index) =>
        recorder.ask({ databaseUrl, seed: 2 * seed + index, steps }),
      );
      return (await Promise.all(histories)).flat();
    };
    const steps = isFull ? 1_000 : 200;

    const faulty = await record(undefined, 1, steps);
    yield { what: "stores with a bug", figures: [atLeast("violations", violationsOf(faulty).length, 1)] };

    for (const databaseUrl of [`sqlite:${join(path, "vehicles.db")}`, await createDatabase("histories")]) {
      // Both open the database before either begins.
      await record(databaseUrl, 0, 0);
      for (let seed = 1; seed <= (isFull ? 5 : 2); seed++) {
        const history = await record(databaseUrl, seed, steps);
        yield {
          what: `${databaseUrl.split(":")[0]}, seed ${seed}`,
          figures: [
            none("violations", violationsOf(history).length),
            atLeast("answers from the other's decodes", answersOfOthers(history), 1),
            atLeast("Removes during decodes", removesDuringDecodes(history), 1),
          ],
        };
      }
    }
  },
};
