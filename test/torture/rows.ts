import type { Row } from "./row.ts";
import { rowsOfBytes } from "./rows-of-bytes.ts";
import { rowsOfClaims } from "./rows-of-claims.ts";
import { rowsOfFloods } from "./rows-of-floods.ts";
import { rowsOfLoad } from "./rows-of-load.ts";
import { rowsOfRemovals } from "./rows-of-removals.ts";
import { rowsOfSilence } from "./rows-of-silence.ts";
import { rowsOfTimes } from "./rows-of-times.ts";

/** The rows of the table of faults and attacks that are run here, in its order. */
export const ROWS: readonly Row[] = [
  ...rowsOfBytes,
  ...rowsOfFloods,
  ...rowsOfClaims,
  ...rowsOfSilence,
  ...rowsOfLoad,
  ...rowsOfRemovals,
  ...rowsOfTimes,
];
