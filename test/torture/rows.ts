import { rowOfBursts } from "./bursts.ts";
import { rowOfFailover } from "./failover.ts";
import { rowOfHistories } from "./histories.ts";
import { rowOfKills } from "./kills.ts";
import type { Row } from "./row.ts";
import { rowsOfBrokenBytes } from "./broken-bytes.ts";
import { rowOfClaims } from "./claims.ts";
import { rowOfFloods } from "./floods.ts";
import { rowOfSilences } from "./silences.ts";
import { rowOfSoak } from "./soak.ts";
import { rowOfTimes } from "./times.ts";

/** The rows of the table of faults and attacks that are run here. */
export const ROWS: readonly Row[] = [
  ...rowsOfBrokenBytes,
  rowOfFloods,
  rowOfClaims,
  rowOfSilences,
  rowOfBursts,
  rowOfKills,
  rowOfHistories,
  rowOfFailover,
  rowOfSoak,
  rowOfTimes,
];
