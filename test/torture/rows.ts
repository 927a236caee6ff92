import type { Row } from "./finding.ts";
import { rowsOfBytes } from "./rows-of-bytes.ts";
import { rowsOfClaims } from "./rows-of-claims.ts";
import { rowsOfExports } from "./rows-of-exports.ts";
import { rowsOfFloods } from "./rows-of-floods.ts";
import { rowsOfLoad } from "./rows-of-load.ts";
import { rowsOfSilence } from "./rows-of-silence.ts";
import { rowsOfSizes } from "./rows-of-sizes.ts";
import { rowsOfVins } from "./rows-of-vins.ts";

/** Every row that is tried, in the order of the table. */
export const ROWS: readonly Row[] = [
  ...rowsOfBytes,
  ...rowsOfFloods,
  ...rowsOfClaims,
  ...rowsOfSilence,
  ...rowsOfExports,
  ...rowsOfSizes,
  ...rowsOfLoad,
  ...rowsOfVins,
];
