import { expect, test } from "vitest";

import { faultsOf } from "./finding.ts";
import { ROWS } from "./rows.ts";

// The machine may be slow for a moment for reasons of its own; the service is not, twice in a row.
test.each(ROWS.map((row) => [row.title, row] as const))(
  "the service withstands %s",
  { retry: 1, timeout: 120_000 },
  async (_title, row) => {
    const findings = await row.run("short");

    expect(findings).not.toEqual([]);
    expect(findings.flatMap((finding) => faultsOf(finding).map((fault) => `${finding.what}: ${fault}`))).toEqual([]);
  },
);
