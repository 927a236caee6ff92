import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { toFragment } from "../fragment.ts";
import { badgeOf, headlineOf } from "../vehicle-words.ts";
import { numberInWords } from "../words.ts";
import type { Outcome } from "./batch-run.ts";
import type { SortKey, Sorting } from "./order.ts";
import type { ListRow, ParsedList } from "./parse-list.ts";
import { outcomeOfRow, type OutcomeOf } from "./results.ts";

const COLUMNS: readonly (readonly [key: SortKey, name: string])[] = [
  ["line", "Line"],
  ["vin", "VIN"],
  ["vehicle", "Vehicle"],
  ["body", "Body class"],
  ["state", "Verdict"],
];
/** Rows drawn above and below what is seen, so that a quick scroll shows no gap. */
const SPARE_ROWS = 12;
const ROW_PX = { wide: 44, narrow: 80 };
const NARROW = "(max-width: 48rem)";

interface ResultTableProps {
  readonly list: ParsedList;
  readonly outcomeOf: OutcomeOf;
  /** The rows to show, as positions in the list. */
  readonly order: readonly number[];
  readonly sorting: Sorting;
  readonly onSort: (sorting: Sorting) => void;
}

/** A table of any number of rows, of which only those in sight are drawn. */
export function ResultTable({ list, outcomeOf, order, sorting, onSort }: ResultTableProps): VNode {
  const view = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const rowPx = useRowHeight();
  const height = view.current?.clientHeight ?? 0;
  const first = Math.max(0, Math.floor(top / rowPx) - SPARE_ROWS);
  const last = Math.min(order.length, Math.ceil((top + Math.max(height, 600)) / rowPx) + SPARE_ROWS);
  return (
    <div
      ref={view}
      class="table"
      role="table"
      aria-label="Results"
      aria-rowcount={order.length + 1}
      aria-colcount={COLUMNS.length}
      // Scrolled by keyboard.
      tabIndex={0}
      onScroll={({ currentTarget }) => setTop(currentTarget.scrollTop)}
    >
      <div role="rowgroup" class="table-head">
        <div role="row" aria-rowindex={1} class="table-row">
          {COLUMNS.map(([key, name]) => (
            <Heading key={key} sortKey={key} name={name} sorting={sorting} onSort={onSort} />
          ))}
        </div>
      </div>
      <div role="rowgroup" class="table-rows" style={{ height: `${order.length * rowPx}px` }}>
        {order.slice(first, last).map((index, offset) => {
          const row = list.rows[index];
          return row === undefined ? null : (
            <Row
              key={index}
              row={row}
              outcome={outcomeOfRow(row, outcomeOf)}
              position={first + offset}
              topPx={(first + offset) * rowPx}
            />
          );
        })}
      </div>
      {order.length === 0 && <p class="hint none">No problems.</p>}
    </div>
  );
}

interface HeadingProps {
  readonly sortKey: SortKey;
  readonly name: string;
  readonly sorting: Sorting;
  readonly onSort: (sorting: Sorting) => void;
}

function Heading({ sortKey, name, sorting, onSort }: HeadingProps): VNode {
  const isSorted = sorting.key === sortKey;
  const order = sorting.isDescending ? "descending" : "ascending";
  return (
    <div role="columnheader" class={`cell ${sortKey}`} aria-sort={isSorted ? order : "none"}>
      <button
        type="button"
        class="sort"
        onClick={() => onSort({ key: sortKey, isDescending: isSorted && !sorting.isDescending })}
      >
        {name}
        <span aria-hidden="true" class="arrow">
          {isSorted ? (sorting.isDescending ? "↓" : "↑") : ""}
        </span>
      </button>
    </div>
  );
}

interface RowProps {
  readonly row: ListRow;
  readonly outcome: Outcome;
  /** Among those shown, from 0. */
  readonly position: number;
  readonly topPx: number;
}

function Row({ row, outcome, position, topPx }: RowProps): VNode {
  const { name, body } = outcome.state === "vehicle" ? headlineOf(outcome.vehicle) : { name: "", body: "" };
  const sentence = outcome.state === "failed" ? outcome.sentence : "";
  const likely = outcome.state === "failed" ? outcome.likelyVin : "";
  return (
    <div role="row" aria-rowindex={position + 2} class="table-row" style={{ transform: `translateY(${topPx}px)` }}>
      <div role="cell" class="cell line">
        {numberInWords(row.line)}
      </div>
      <div role="cell" class="cell vin">
        {row.vin === undefined ? row.text.trim().slice(0, 40) : <a href={linkTo(row.vin, row.modelYear)}>{row.vin}</a>}
      </div>
      {outcome.state === "failed" ? (
        <div role="cell" class="cell wide" aria-colspan={2} title={sentence}>
          <span>
            {likely !== "" && (
              <>
                Likely{" "}
                <a class="vin" href={linkTo(likely, row.modelYear)}>
                  {likely}
                </a>
                .{" "}
              </>
            )}
            {sentence}
          </span>
        </div>
      ) : (
        <>
          <div role="cell" class="cell vehicle" title={name}>
            {name}
          </div>
          <div role="cell" class="cell body" title={body}>
            {body}
          </div>
        </>
      )}
      <div role="cell" class="cell state">
        <StateBadge row={row} outcome={outcome} />
      </div>
    </div>
  );
}

function StateBadge({ row, outcome }: { row: ListRow; outcome: Outcome }): VNode {
  if (outcome.state === "vehicle") {
    const { tone, words } = badgeOf(outcome.vehicle.verdict?.codes ?? []);
    return (
      <span class={`badge ${tone}`} title={words}>
        {words}
      </span>
    );
  }
  if (outcome.state === "waiting") {
    return <span class="hint">Waiting</span>;
  }
  return (
    <span class="badge bad">{row.vin === undefined ? "No VIN" : outcome.isTransient ? "Failed" : "Not decoded"}</span>
  );
}

function linkTo(vin: string, modelYear: number | undefined): string {
  return toFragment({ tab: "look-up", vin, year: String(modelYear ?? "") });
}

function useRowHeight(): number {
  const [isNarrow, setNarrow] = useState(() => matchMedia(NARROW).matches);
  useEffect(() => {
    const query = matchMedia(NARROW);
    const follow = (): void => setNarrow(query.matches);
    query.addEventListener("change", follow);
    return () => query.removeEventListener("change", follow);
  }, []);
  return isNarrow ? ROW_PX.narrow : ROW_PX.wide;
}
