/** Attacks the service with full force and prints what came of it: `node test/torture/main.ts [row...]`. */
import { describe, faultsOf } from "./finding.ts";
import { ROWS } from "./rows.ts";

const asked = process.argv.slice(2).map(Number);
const unknown = asked.filter((number) => !ROWS.some((row) => row.number === number));
if (unknown.length > 0) {
  process.stderr.write(`There is no row ${unknown.join(", ")} here.\n`);
  process.exit(1);
}
const rows = ROWS.filter(({ number }) => asked.length === 0 || asked.includes(number));
let failed = 0;
for (const row of rows) {
  process.stdout.write(`\nRow ${row.number}: ${row.title}\n`);
  for (const finding of await row.run("full")) {
    const isPassed = faultsOf(finding).length === 0;
    failed += isPassed ? 0 : 1;
    const figures = finding.figures.map(describe).join(", ");
    process.stdout.write(`  ${isPassed ? "pass" : "FAIL"}  ${finding.listener}  ${finding.what}: ${figures}\n`);
  }
}
if (asked.length === 0) {
  process.stdout.write("\nRows 10 and 11, real clients and foreign pages, are whole in `npm test` and `.ci/run`.\n");
}
process.stdout.write(failed === 0 ? "\nAll passed.\n" : `\n${failed} failed.\n`);
process.exitCode = failed === 0 ? 0 : 1;
