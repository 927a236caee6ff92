/** Attacks the service with full force and prints what came of it: `node test/torture/main.ts [row...]`. */
import { describe, faultsOf } from "./finding.ts";
import { ROWS } from "./rows.ts";
import { rowsOfTests } from "./rows-of-tests.ts";

/** In the order of the table. */
const ALL = [...ROWS, ...rowsOfTests].toSorted((one, other) => one.number - other.number);

const asked = process.argv.slice(2).map(Number);
const unknown = asked.filter((number) => !ALL.some((row) => row.number === number));
if (unknown.length > 0) {
  process.stderr.write(`There is no row ${unknown.join(", ")} here.\n`);
  process.exit(1);
}
const rows = ALL.filter(({ number }) => asked.length === 0 || asked.includes(number));
let failed = 0;
for (const row of rows) {
  process.stdout.write(`\nRow ${row.number}: ${row.title}\n`);
  const findings = await row.run("full");
  // What was not tried has not passed.
  failed += findings.length === 0 ? 1 : 0;
  for (const finding of findings) {
    const isPassed = faultsOf(finding).length === 0;
    failed += isPassed ? 0 : 1;
    const figures = finding.figures.map(describe).join(", ");
    process.stdout.write(`  ${isPassed ? "pass" : "FAIL"}  ${finding.listener}  ${finding.what}: ${figures}\n`);
  }
}
process.stdout.write(failed === 0 ? "\nAll passed.\n" : `\n${failed} failed.\n`);
process.exitCode = failed === 0 ? 0 : 1;
