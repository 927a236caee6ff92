/** A row of the user's table. */
export interface Row {
  /** One for each column. Missing values are undefined. */
  readonly cells: readonly unknown[];
  /** Why the row cannot be decoded. */
  readonly fault?: string | undefined;
}

/** The user's table. */
export interface Table {
  readonly columns: readonly string[];
  /** The first rows. */
  readonly sample: readonly Row[];
  /** All rows, once. */
  readonly rows: AsyncIterable<Row>;
  /** How much of it has been read, from 0 to 1; undefined when its size is unknown. */
  progress(): number | undefined;
}

/** A table, a name or a choice of columns that cannot be used. The message is for the user. */
export class TableError extends Error {
  override readonly name = "TableError";
}
