import type { DatabaseLocation } from "../cache/database-url.ts";

/** What the worker is to write, and where. */
export interface WriteJob {
  readonly location: DatabaseLocation;
  /** An empty file, open for writing; the worker leaves it open. */
  readonly fd: number;
  /** Where the file is, to ask how much room there is. */
  readonly directory: string;
  /** How much room must be left for others. */
  readonly keepFreeBytes: number;
  readonly service: string;
  readonly version: string;
}

/** What became of it. */
export interface WrittenFile {
  readonly rowCount: number;
  readonly sizeBytes: number;
  /** In ms since the epoch. */
  readonly snapshotTime: number;
}

/** The one message that the worker sends. */
export type WriteReport =
  | { readonly kind: "written"; readonly file: WrittenFile }
  | { readonly kind: "no-room"; readonly message: string }
  | { readonly kind: "failed"; readonly error: unknown };
