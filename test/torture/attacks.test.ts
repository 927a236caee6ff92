import { expect, test } from "vitest";

import { faultsOf } from "./finding.ts";
import { ROWS } from "./rows.ts";

const SHORT = ROWS.filter(({ hasShortForm = true }) => hasShortForm);

// The machine may be slow for a moment for reasons of its own; the service is not, five times in a row.
test.each(SHORT.map((row) => [row.title, row] as const))(
  "the service withstands %s",
  { retry: 4, timeout: 180_000 },
  async (_title, row) => {
    const findings = await row.run("short");

    expect(findings).not.toEqual([]);
    expect(findings.flatMap((finding) => faultsOf(finding).map((fault) => `${finding.what}: ${fault}`))).toEqual([]);
  },
);
