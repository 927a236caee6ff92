import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { nodeFault } from "./node-version.js";

const fault = nodeFault(process.versions.node);
if (fault === undefined) {
  // Later starts take less time: types are stripped and code is compiled only once. In a read-only folder nothing is kept.
  enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/compiled"));
  // An old Node cannot even read the rest.
  const { serve } = await import("./serve.ts");
  await serve(process);
} else {
  process.stderr.write(`${fault}\n`);
  process.exitCode = 1;
}
