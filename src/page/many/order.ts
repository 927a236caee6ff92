import type { Outcome } from "./batch-run.ts";
import { isProblem } from "./batch-run.ts";
import type { ParsedList } from "./parse-list.ts";
import { outcomeOfRow, type OutcomeOf } from "./results.ts";

/** What rows can be sorted by. */
export type SortKey = "line" | "vin" | "vehicle" | "body" | "state";

export interface Sorting {
  readonly key: SortKey;
  readonly isDescending: boolean;
}

const STATES: Readonly<Record<Outcome["state"], string>> = { failed: "1", vehicle: "3", waiting: "4" };

/** The rows to show, as positions in the list, sorted. Rows that are alike stay in the list's order. */
export function orderRows(list: ParsedList, outcomeOf: OutcomeOf, sorting: Sorting, onlyProblems: boolean): number[] {
  const shown = [...list.rows.keys()].filter((index) => !onlyProblems || isProblem(outcomeAt(list, outcomeOf, index)));
  if (sorting.key === "line") {
    return sorting.isDescending ? shown.toReversed() : shown;
  }
  const keys = new Map(shown.map((index) => [index, keyOf(list, outcomeOf, sorting.key, index)]));
  const direction = sorting.isDescending ? -1 : 1;
  return shown.toSorted((one, other) => {
    const [first = "", second = ""] = [keys.get(one), keys.get(other)];
    // Unknown values come last in both directions.
    if (first === "" || second === "") {
      return first === second ? one - other : first === "" ? 1 : -1;
    }
    return first === second ? one - other : first < second ? -direction : direction;
  });
}

function outcomeAt(list: ParsedList, outcomeOf: OutcomeOf, index: number): Outcome {
  const row = list.rows[index];
  return row === undefined ? { state: "waiting" } : outcomeOfRow(row, outcomeOf);
}

function keyOf(list: ParsedList, outcomeOf: OutcomeOf, key: SortKey, index: number): string {
  const outcome = outcomeAt(list, outcomeOf, index);
  if (key === "vin") {
    return list.rows[index]?.vin ?? "";
  }
  if (key === "state") {
    return outcome.state === "vehicle" && isProblem(outcome) ? "2" : STATES[outcome.state];
  }
  if (outcome.state !== "vehicle") {
    return "";
  }
  const { make, model, modelYear, bodyClass } = outcome.vehicle;
  return key === "body" ? bodyClass : `${make} ${model} ${modelYear}`.trim();
}
