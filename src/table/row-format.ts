/** Writes rows as lines of text. */
export interface RowFormat {
  /** The lines before the first row. */
  head(columns: readonly string[]): string;
  /** A row with its line end. */
  row(cells: readonly unknown[], columns: readonly string[]): string;
}

export const CSV: RowFormat = {
  head: (columns) => CSV.row(columns, columns),
  row: (cells) => `${cells.map(toCsvCell).join(",")}\n`,
};

export const JSONL: RowFormat = {
  head: () => "",
  row: (cells, columns) =>
    `${JSON.stringify(Object.fromEntries(columns.map((name, index) => [name, toJsonValue(cells[index])])))}\n`,
};

const MAX_CELL_WIDTH = 40;

/** A table for a terminal. The widths of its columns are those of the first rows. */
export class TerminalFormat implements RowFormat {
  readonly #widths: readonly number[];

  constructor(columns: readonly string[], firstRows: readonly (readonly unknown[])[]) {
    this.#widths = columns.map((name, index) => {
      const lengths = firstRows.map((cells) => toText(cells[index]).length);
      return Math.min(Math.max(name.length, ...lengths), MAX_CELL_WIDTH);
    });
  }

  head(columns: readonly string[]): string {
    return this.row(columns);
  }

  row(cells: readonly unknown[]): string {
    const padded = this.#widths.map((width, index) => {
      const text = toText(cells[index]).replaceAll(/\s/g, " ");
      return text.length > width ? `${text.slice(0, width - 1)}…` : text.padEnd(width);
    });
    return `${padded.join("  ").trimEnd()}\n`;
  }
}

function toCsvCell(cell: unknown): string {
  const text = toText(cell);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A cell as text; empty when there is no value. */
export function toText(cell: unknown): string {
  if (typeof cell === "string") {
    return cell;
  }
  const value = toJsonValue(cell);
  return value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);
}

/** A cell as a JSON value. Times become ISO 8601, and integers that JSON's readers would round become strings. */
export function toJsonValue(cell: unknown): unknown {
  if (typeof cell === "bigint") {
    return cell >= Number.MIN_SAFE_INTEGER && cell <= Number.MAX_SAFE_INTEGER ? Number(cell) : String(cell);
  }
  if (cell instanceof Date) {
    return Number.isNaN(cell.getTime()) ? null : cell.toISOString();
  }
  if (cell instanceof Uint8Array) {
    return Buffer.from(cell).toString("base64");
  }
  if (Array.isArray(cell)) {
    return cell.map(toJsonValue);
  }
  if (typeof cell === "object" && cell !== null) {
    return Object.fromEntries(Object.entries(cell).map(([name, value]) => [name, toJsonValue(value)]));
  }
  return cell ?? null;
}
