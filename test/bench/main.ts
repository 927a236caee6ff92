/**
 * Runs the benchmarks, each in a process of its own: `npm run bench`, `npm run bench -- cache mount`, or with `--smoke`
 * in small sizes, to see that they still run.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

interface Benchmark {
  readonly script: string;
  readonly full: readonly string[];
  readonly smoke: readonly string[];
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  snapshot: { script: "snapshot.ts", full: [], smoke: [] },
  vpic: { script: "vpic.ts", full: [], smoke: [] },
  cache: { script: "cache.ts", full: [], smoke: ["2000"] },
  batch: { script: "batch.ts", full: [], smoke: ["500"] },
  export: {
    script: "export.ts",
    full: ["--rows", "1000000", "--rows", "3000000"],
    smoke: ["--rows", "20000", "--rewrites", "2000"],
  },
  mount: { script: "mount.ts", full: [], smoke: ["500"] },
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
  const args = values.smoke === true ? benchmark.smoke : benchmark.full;
  const { status } = spawnSync(process.execPath, ["--expose-gc", script, ...args], {
    stdio: "inherit",
  });
  if (status !== 0) {
    process.exitCode = 1;
  }
}
