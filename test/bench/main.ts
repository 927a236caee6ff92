/**
 * Runs the benchmarks, each in a process of its own: `npm run bench`, `npm run bench -- cache calls`, or with `--smoke`
 * in small sizes, to show that they still run. Options after a single name go to that benchmark and replace its sizes:
 * `npm run bench -- calls --only grpc`.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

interface Benchmark {
  readonly script: string;
  readonly full: readonly string[];
  readonly smoke: readonly string[];
}

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  snapshot: { script: "snapshot.ts", full: [], smoke: [] },
  "monthly-file": {
    script: "monthly-file.ts",
    full: [],
    smoke: ["--times", "1", "--patterns", "20000", "--bytes", "10000000"],
  },
  vpic: { script: "vpic.ts", full: [], smoke: [] },
  cache: { script: "cache.ts", full: [], smoke: ["2000"] },
  batch: { script: "batch.ts", full: [], smoke: ["500"] },
  "new-vins": { script: "new-vins.ts", full: [], smoke: ["500"] },
  export: {
    script: "export.ts",
    full: ["--rows", "1000000", "--rows", "3000000"],
    smoke: ["--rows", "20000", "--rewrites", "2000"],
  },
  workers: { script: "workers.ts", full: [], smoke: ["1"] },
  databases: {
    script: "databases.ts",
    full: ["--rows", "1000", "--rows", "1000000"],
    smoke: ["--rows", "100", "--rounds", "1", "--seconds", "0.1"],
  },
  calls: { script: "calls.ts", full: [], smoke: ["--smoke"] },
};

const words = process.argv.slice(2).filter((word) => word !== "--smoke");
const isSmoke = words.length < process.argv.length - 2;
const firstOption = words.findIndex((word) => word.startsWith("-"));
const given = firstOption === -1 ? words : words.slice(0, firstOption);
const options = words.slice(given.length);
if (options.length > 0 && given.length !== 1) {
  throw new Error("options belong to a single benchmark: put its name before them");
}
const names = given.length === 0 ? Object.keys(BENCHMARKS) : given;
for (const name of names) {
  const benchmark = BENCHMARKS[name];
  if (benchmark === undefined) {
    console.error(`there is no benchmark ${name}; use ${Object.keys(BENCHMARKS).join(", ")}`);
    process.exitCode = 1;
    continue;
  }
  console.log(`\n== ${name}`);
  const script = fileURLToPath(new URL(benchmark.script, import.meta.url));
  const sizes = isSmoke ? benchmark.smoke : benchmark.full;
  const args = !isSmoke && options.length > 0 ? options : [...sizes, ...options];
  const { status } = spawnSync(process.execPath, ["--expose-gc", script, ...args], {
    stdio: "inherit",
  });
  if (status !== 0) {
    process.exitCode = 1;
  }
}
