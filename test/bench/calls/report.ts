/** The result of one measurement. */
export interface Section {
  readonly title: string;
  readonly figures: readonly Figure[];
}

/** One line of the report. Bounds apply to the ratio if there is one, otherwise to the value. */
export interface Figure {
  readonly what: string;
  readonly value: number;
  /** Default: a plain number. */
  readonly unit?: string;
  /** The yardstick's value. */
  readonly yardstick?: number;
  /** The value divided by the yardstick's: the median over all rounds. */
  readonly ratio?: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Whether the bounds decide. Default: they do. */
  readonly isJudged?: boolean;
  /** Printed beside the verdict. */
  readonly note?: string;
}

const HEADINGS = ["", "figure", "yardstick", "ratio", "target", "verdict"];

/** Whether a judged figure is out of its bounds. */
export function isMissed({ value, ratio, atLeast, atMost, isJudged = true }: Figure): boolean {
  const judged = ratio ?? value;
  // NaN is never within bounds.
  const isWithin = (atLeast === undefined || judged >= atLeast) && (atMost === undefined || judged <= atMost);
  return isJudged && !isWithin;
}

/** The sections as lines of aligned columns. */
export function toTable(sections: readonly Section[]): string {
  const rows = sections.flatMap(({ title, figures }) => [[], [title], ...figures.map(toRow)]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.filter(({ length }) => length > 1).map((row) => row[column]?.length ?? 0)),
  );
  return [HEADINGS, ...rows].map((row) => toLine(row, widths)).join("\n");
}

/** Aligns texts left and figures right. */
function toLine(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, column) => {
    const width = widths[column] ?? 0;
    const isText = column === 0 || column === HEADINGS.length - 1;
    return isText ? cell.padEnd(width) : cell.padStart(width);
  });
  return cells.join("  ").trimEnd();
}

function toRow(figure: Figure): string[] {
  const { what, value, unit = "", yardstick, ratio } = figure;
  return [
    `  ${what}`,
    `${show(value)} ${unit}`.trimEnd(),
    yardstick === undefined ? "" : `${show(yardstick)} ${unit}`.trimEnd(),
    ratio === undefined ? "" : ratio.toFixed(2),
    targetOf(figure),
    verdictOf(figure),
  ];
}

function targetOf({ atLeast, atMost }: Figure): string {
  const bounds = [atLeast === undefined ? "" : `>= ${atLeast}`, atMost === undefined ? "" : `<= ${atMost}`];
  return bounds.join("");
}

function verdictOf(figure: Figure): string {
  const { atLeast, atMost, isJudged = true, note = "" } = figure;
  const hasVerdict = isJudged && (atLeast !== undefined || atMost !== undefined);
  const verdict = isMissed(figure) ? "MISSED" : "ok";
  return `${hasVerdict ? verdict : ""} ${note}`.trim();
}

function show(value: number): string {
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
