/** Attacks the service with full force and prints the results: `npm run torture [row...]`. */
import { availableParallelism, loadavg } from "node:os";
import { describe, faultsOf } from "./finding.ts";
import { Arena } from "./row.ts";
import { ROWS } from "./rows.ts";

const asked = process.argv.slice(2);
const unknown = asked.filter((number) => !ROWS.some((row) => row.number === number));
if (unknown.length > 0) {
  const known = ROWS.map(({ number }) => number).join(", ");
  process.stderr.write(`There is no row ${unknown.join(", ")} here. Rows: ${known}.\n`);
  process.exit(1);
}
const rows = ROWS.filter(({ number }) => asked.length === 0 || asked.includes(number));
let failed = 0;
for (const row of rows) {
  process.stdout.write(`\nRow ${row.number}: ${row.title} (${describeMachine()})\n`);
  await using arena = new Arena(true);
  const findings = await row.run(arena);
  // A row that was not tried has not passed.
  failed += findings.length === 0 ? 1 : 0;
  for (const finding of findings) {
    const isPassed = faultsOf(finding).length === 0;
    failed += isPassed ? 0 : 1;
    process.stdout.write(
      `  ${isPassed ? "pass" : "FAIL"}  ${finding.what}: ${finding.figures.map(describe).join(", ")}\n`,
    );
  }
}
process.stdout.write(failed === 0 ? "\nAll passed.\n" : `\n${failed} failed.\n`);
process.exitCode = failed === 0 ? 0 : 1;

function describeMachine(): string {
  const [load = 0] = loadavg();
  return `${availableParallelism()} cores, Node ${process.versions.node}, load ${load.toFixed(1)}`;
}
