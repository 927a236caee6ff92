import { afterAll, expect, test } from "vitest";
import { countedFaultsOf } from "./finding.ts";
import type { Row } from "./row.ts";
import { Arena } from "./row.ts";
import { ROWS } from "./rows.ts";

/** Only a hang takes so long. */
const HANG_MS = 600_000;

/** Tests the counts of some of the rows. */
export function testRows(which: Row["test"]): void {
  const arena = new Arena(false);

  afterAll(() => arena[Symbol.asyncDispose]());

  test.each(ROWS.filter((row) => row.test === which))(
    "row $number: the service withstands $title",
    { timeout: HANG_MS },
    async (row) => {
      const findings = await row.run(arena);

      expect(findings).not.toEqual([]);
      expect(findings.flatMap(countedFaultsOf)).toEqual([]);
    },
  );
}
