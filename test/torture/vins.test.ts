import { expect, test } from "vitest";

import { faultsOf } from "./finding.ts";
import { rowsOfVins } from "./rows-of-vins.ts";

test.each(rowsOfVins.map((row) => [row.title, row] as const))("the service withstands %s", async (_title, row) => {
  const findings = await row.run("short");

  expect(findings).not.toEqual([]);
  expect(findings.filter((finding) => faultsOf(finding).length > 0)).toEqual([]);
});
