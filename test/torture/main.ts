/** Attacks the service with full force and prints the results: `npm run torture [row...]`. */
import { availableParallelism, loadavg } from "node:os";
import { PostgresServer } from "../support/postgres.ts";
import { Arena } from "./row.ts";
import { ROWS } from "./rows.ts";

const asked = process.argv.slice(2);
const known = ROWS.map(({ number }) => number);
const unknown = asked.filter((number) => !known.includes(number));
if (unknown.length > 0) {
  process.stderr.write(`There is no row ${unknown.join(", ")} here. Rows: ${known.join(", ")}.\n`);
  process.exit(1);
}
await using stack = new AsyncDisposableStack();
const createDatabase = async (name: string): Promise<string> =>
  stack.use(await PostgresServer.start()).createDatabase(name);
let failed = 0;
for (const row of ROWS.filter(({ number }) => asked.length === 0 || asked.includes(number))) {
  const machine = `${availableParallelism()} cores, Node ${process.versions.node}, load ${loadavg()[0]?.toFixed(1)}`;
  process.stdout.write(`\nRow ${row.number}: ${row.title} (${machine})\n`);
  await using arena = new Arena(true, createDatabase);
  const findings = await Array.fromAsync(row.run(arena));
  // A row that was not tried has not passed.
  failed += findings.length === 0 ? 1 : 0;
  for (const { what, figures } of findings) {
    const isPassed = figures.every(({ isGood }) => isGood);
    failed += isPassed ? 0 : 1;
    process.stdout.write(`  ${isPassed ? "pass" : "FAIL"}  ${what}: ${figures.map(({ text }) => text).join(", ")}\n`);
  }
}
process.stdout.write(failed === 0 ? "\nAll passed.\n" : `\n${failed} failed.\n`);
process.exitCode = failed === 0 ? 0 : 1;
