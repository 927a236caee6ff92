import { expect, test } from "vitest";

import { faultsOf } from "./finding.ts";
import { rowsOfSilence } from "./rows-of-silence.ts";

test.each(rowsOfSilence.map((row) => [row.title, row] as const))("the service withstands %s", async (_title, row) => {
  const findings = await row.run("short");

  expect(findings).not.toEqual([]);
  expect(findings.filter((finding) => faultsOf(finding).length > 0)).toEqual([]);
});
