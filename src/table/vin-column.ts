import { parseVin } from "../vehicle/vin.ts";
import { suggest } from "./suggest.ts";
import { TableError } from "./table.ts";

/** The parts of a table that are needed to find columns. */
interface ColumnsAndSample {
  readonly columns: readonly string[];
  readonly sample: readonly { readonly cells: readonly unknown[] }[];
}

/**
 * The index of the column that the user has named, or of the one that has the VINs.
 *
 * @throws TableError when there is none.
 */
export function columnOfVins(table: ColumnsAndSample, name: string | undefined): number {
  const index = name === undefined ? findVinColumn(table) : indexOfColumn(table, "--column", name);
  if (index === undefined) {
    throw new TableError(
      `it is not clear which column has the VINs; name it with --column. The columns: ${table.columns.join(", ")}`,
    );
  }
  return index;
}

/** @throws TableError when there is no such column. */
export function indexOfColumn({ columns }: ColumnsAndSample, option: string, name: string): number {
  const index = columns.indexOf(name);
  if (index === -1) {
    throw new TableError(`${option}: there is no column ${name}${suggest(name, columns)}`);
  }
  return index;
}

/** The text of a cell that should have a VIN. */
export function toVinText(cell: unknown): string {
  return typeof cell === "string" ? cell : typeof cell === "number" || typeof cell === "bigint" ? String(cell) : "";
}

/**
 * Finds the column that has the VINs: by its name or, if that is not clear, by the content of the first rows.
 *
 * @returns undefined when it is not clear.
 */
function findVinColumn({ columns, sample }: ColumnsAndSample): number | undefined {
  const named = [...columns.keys()].filter((index) => isVinName(columns[index] ?? ""));
  if (named.length === 1) {
    return named[0];
  }
  const candidates = named.length > 0 ? named : [...columns.keys()];
  const shares = candidates.map((index) => ({ index, share: shareOfVins(sample.map(({ cells }) => cells[index])) }));
  const [best, second] = shares.toSorted((a, b) => b.share - a.share);
  return best === undefined || best.share < 0.5 || best.share === second?.share ? undefined : best.index;
}

const VIN_NAME = /(^|[^a-z])vin([^a-z]|$)|^vehicle ?identification ?(number|no)$/;

/** Whether a column of this name is likely to have VINs. */
export function isVinName(name: string): boolean {
  // "VehicleVIN" and "vin_code" have the word VIN in them; "Vincent" does not.
  return VIN_NAME.test(
    name
      .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
      .replaceAll(/[_-]/g, " ")
      .trim()
      .toLowerCase(),
  );
}

function shareOfVins(cells: readonly unknown[]): number {
  const filled = cells.filter((cell) => cell !== undefined && cell !== null && cell !== "");
  return filled.length === 0 ? 0 : filled.filter(isVin).length / filled.length;
}

/** Whether a cell is a well-formed VIN. */
export function isVin(cell: unknown): boolean {
  try {
    return typeof cell === "string" && parseVin(cell) !== "";
  } catch {
    return false;
  }
}
