import { enableCompileCache } from "node:module";
import { join } from "node:path";

// As for the service: later starts are faster.
enableCompileCache(join(import.meta.dirname, "../../node_modules/.cache/compiled"));
const { runCommandLine } = await import("./command-line.ts");
process.exitCode = await runCommandLine(process.argv.slice(2));
