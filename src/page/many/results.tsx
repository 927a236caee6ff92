import type { VNode } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { saveFile } from "../clipboard.ts";
import { CopyButton } from "../copy-button.tsx";
import { wantsToken } from "../failure.ts";
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
  return (
    <div class="results">
      <Progress run={run} />
      {needsToken(run.phase) ? (
        <TokenForm reason={run.phase.failure.sentence} onToken={onToken} />
      ) : (
        <PhaseLine phase={run.phase} />
      )}
      <div class="row controls">
        <RunButton run={run} onGoOn={onGoOn} />
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
  const heading = useRef<HTMLHeadingElement>(null);
  // The button that started the run has gone. An effect after the next paint would leave the focus nowhere for a moment.
  useLayoutEffect(() => heading.current?.focus(), []);
  const words = `${numberInWords(answered)} of ${numberInWords(total)}${failed === 0 ? "" : `, ${numberInWords(failed)} failed`}`;
  return (
    <div class="progress">
      <h2 ref={heading} tabIndex={-1}>
        {words}
      </h2>
      <progress max={Math.max(total, 1)} value={answered} aria-label="Answered" />
    </div>
  );
}

/** Stops or continues. It is one button, so that it keeps the focus. */
function RunButton({ run, onGoOn }: { run: BatchRun; onGoOn: () => void }): VNode | null {
  const { total, answered } = run.counts;
  const isRunning = run.phase.kind === "running" || run.phase.kind === "pausing";
  const open = isRunning ? 0 : run.open.length;
  if (!isRunning && (open === 0 || needsToken(run.phase))) {
    return null;
  }
  const verb = answered === total ? `Try ${counted(open, "VIN")} again` : `Continue with ${counted(open, "VIN")}`;
  return (
    <button type="button" class={isRunning ? "" : "primary"} onClick={isRunning ? () => run.stop() : onGoOn}>
      {isRunning ? "Stop" : verb}
    </button>
  );
}

function needsToken(phase: Phase): phase is Phase & { readonly kind: "broken" } {
  return phase.kind === "broken" && wantsToken(phase.failure);
}

function PhaseLine({ phase }: { phase: Phase }): VNode | null {
  const now = useNowWhile(phase.kind === "pausing");
  if (phase.kind === "pausing") {
    return (
      <p class="waiting" role="status">
        <span class="dot" aria-hidden="true" />
        <span>
          {phase.cause} The run continues in {waitInWords(phase.resumesAt - now)}.
        </span>
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
  // Before the next paint: until then, the time is that of an earlier tick, and the wait looks longer than it is.
  useLayoutEffect(() => {
    const tick = (): void => setNow(Date.now());
    tick();
    const timer = isTicking ? setInterval(tick, TICK_MS) : undefined;
    return () => clearInterval(timer);
  }, [isTicking]);
  return now;
}
