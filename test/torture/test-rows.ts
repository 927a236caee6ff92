import { afterAll, expect, test } from "vitest";
import { createSharedDatabase } from "../support/shared.ts";
import type { Row } from "./row.ts";
import { Arena } from "./row.ts";
import { ROWS } from "./rows.ts";

/** Tests the counts of some of the rows. */
export function testRows(which: Row["test"]): void {
  const arena = new Arena(false, createSharedDatabase);

  afterAll(() => arena[Symbol.asyncDispose]());

  test.each(ROWS.filter((row) => row.test === which))("row $number: the service withstands $title", async (row) => {
    const findings = await Array.fromAsync(row.run(arena));

    const faults = findings.flatMap(({ what, figures }) =>
      figures.filter(({ isGood, isMeasured }) => !isGood && !isMeasured).map(({ text }) => `${what}: ${text}`),
    );
    expect(findings).not.toEqual([]);
    expect(faults).toEqual([]);
  });
}
