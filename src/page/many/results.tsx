import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { saveFile } from "../clipboard.ts";
import { CopyButton } from "../copy-button.tsx";
import type { Query } from "../query.ts";
import { TokenForm } from "../token-form.tsx";
import { counted, numberInWords, waitInWords } from "../words.ts";
import type { BatchRun, Outcome, Phase } from "./batch-run.ts";
import { isProblem } from "./batch-run.ts";
import { orderRows, type Sorting } from "./order.ts";
import type { ParsedList } from "./parse-list.ts";
import { outcomeOfRow, toCsv, toJsonText, toTsv } from "./results.ts";
import { ResultTable } from "./result-table.tsx";

const TICK_MS = 500;

interface ResultsProps {
  readonly list: ParsedList;
  readonly run: BatchRun;
  readonly onToken: (token: string) => void;
  readonly onGoOn: () => void;
  /** Goes back to the list. */
  readonly onBack: () => void;
}

/** The results of a list, as they arrive. */
export function Results({ list, run, onToken, onGoOn, onBack }: ResultsProps): VNode {
  const [sorting, setSorting] = useState<Sorting>({ key: "line", isDescending: false });
  const [onlyProblems, setOnlyProblems] = useState(false);
  const outcomeOf = (query: Query): Outcome => run.outcomeOf(query);
  const problems = list.rows.filter((row) => isProblem(outcomeOfRow(row, outcomeOf))).length;
  const order = orderRows(list, outcomeOf, sorting, onlyProblems);
  const isRunning = run.phase.kind === "running" || run.phase.kind === "pausing";
  return (
    <div class="results">
      <Progress run={run} />
      {run.phase.kind === "broken" && run.phase.failure.kind === "token" ? (
        <TokenForm reason={run.phase.failure.sentence} onToken={onToken} />
      ) : (
        <PhaseLine phase={run.phase} />
      )}
      <div class="row controls">
        {isRunning ? (
          <button type="button" onClick={() => run.stop()}>
            Stop
          </button>
        ) : (
          <GoOnButton run={run} onGoOn={onGoOn} />
        )}
        <button type="button" onClick={onBack}>
          Change the list
        </button>
        <span class="spring" />
        <button type="button" onClick={() => saveFile("vehicles.csv", "text/csv", [toCsv(list, outcomeOf)])}>
          Download CSV
        </button>
        <button
          type="button"
          onClick={() => saveFile("vehicles.json", "application/json", [toJsonText(list, outcomeOf)])}
        >
          Download JSON
        </button>
        <CopyButton label="Copy for a spreadsheet" text={() => toTsv(list, outcomeOf)} />
      </div>
      <fieldset class="filter">
        <legend class="visually-hidden">Rows to show</legend>
        <label>
          <input type="radio" name="shown" checked={!onlyProblems} onChange={() => setOnlyProblems(false)} />
          <span>All {numberInWords(list.rows.length)}</span>
        </label>
        <label>
          <input type="radio" name="shown" checked={onlyProblems} onChange={() => setOnlyProblems(true)} />
          <span>Problems {numberInWords(problems)}</span>
        </label>
      </fieldset>
      <ResultTable list={list} outcomeOf={outcomeOf} order={order} sorting={sorting} onSort={setSorting} />
    </div>
  );
}

function Progress({ run }: { run: BatchRun }): VNode {
  const { total, answered, failed } = run.counts;
  const words = `${numberInWords(answered)} of ${numberInWords(total)}${failed === 0 ? "" : `, ${numberInWords(failed)} failed`}`;
  return (
    <div class="progress">
      <h2>{words}</h2>
      <progress max={Math.max(total, 1)} value={answered} aria-label="Answered" />
    </div>
  );
}

function GoOnButton({ run, onGoOn }: { run: BatchRun; onGoOn: () => void }): VNode | null {
  const { total, answered } = run.counts;
  const open = run.open.length;
  if (open === 0) {
    return null;
  }
  const label = answered === total ? `Try ${counted(open, "VIN")} again` : `Continue with ${counted(open, "VIN")}`;
  return (
    <button type="button" class="primary" onClick={onGoOn}>
      {label}
    </button>
  );
}

function PhaseLine({ phase }: { phase: Phase }): VNode | null {
  const now = useNowWhile(phase.kind === "pausing");
  if (phase.kind === "pausing") {
    return (
      <p class="waiting" role="status">
        <span class="dot" aria-hidden="true" />
        <span>The rate limit of the service is reached. It continues in {waitInWords(phase.resumesAt - now)}.</span>
      </p>
    );
  }
  if (phase.kind === "broken") {
    return (
      <p class="notice bad" role="alert">
        {phase.failure.sentence}
      </p>
    );
  }
  return phase.kind === "stopped" ? <p class="hint">Stopped. The results so far are kept.</p> : null;
}

function useNowWhile(isTicking: boolean): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const tick = (): void => setNow(Date.now());
    tick();
    const timer = isTicking ? setInterval(tick, TICK_MS) : undefined;
    return () => clearInterval(timer);
  }, [isTicking]);
  return now;
}
