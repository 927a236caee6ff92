/**
 * Runs the benchmarks, each in a process of its own: `npm run bench`, `npm run bench -- cache mount`, or with `--smoke`
 * in small sizes, to see that they still run.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

interface Benchmark {
  readonly script: string;
  readonly smoke: readonly string[];
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  snapshot: { script: "snapshot.ts", smoke: [] },
  cache: { script: "cache.ts", smoke: ["2000"] },
  batch: { script: "batch.ts", smoke: ["500"] },
  mount: { script: "mount.ts", smoke: ["500"] },
};

const { values, positionals } = parseArgs({ options: { smoke: { type: "boolean" } }, allowPositionals: true });
const names = positionals.length === 0 ? Object.keys(BENCHMARKS) : positionals;
for (const name of names) {
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) {
    console.error(`no benchmark is called ${name}; there are ${Object.keys(BENCHMARKS).join(", ")}`);
    process.exitCode = 1;
    continue;
  }
  console.log(`\n== ${name}`);
  const script = fileURLToPath(new URL(benchmark.script, import.meta.url));
  const { status } = spawnSync(process.execPath, [script, ...(values.smoke === true ? benchmark.smoke : [])], {
    stdio: "inherit",
  });
  if (status !== 0) {
    process.exitCode = 1;
  }
}
