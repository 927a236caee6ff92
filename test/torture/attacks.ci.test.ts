import { afterAll, expect, test } from "vitest";
import { countedFaultsOf } from "./finding.ts";
import { Arena } from "./row.ts";
import { ROWS } from "./rows.ts";

const HANG_MS = 600_000;

const arena = new Arena(false);

afterAll(() => arena[Symbol.asyncDispose]());

test.each(ROWS.filter((row) => row.test === "ci"))(
  "row $number: the service withstands $title",
  { timeout: HANG_MS },
  async (row) => {
    const findings = await row.run(arena);

    expect(findings).not.toEqual([]);
    expect(findings.flatMap(countedFaultsOf)).toEqual([]);
  },
);
