import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { nodeFault } from "./node-version.js";

const fault = nodeFault(process.versions.node);
if (fault === undefined) {
  // Caches compiled code, which makes later starts faster. In a read-only directory nothing is cached.
  enableCompileCache(join(import.meta.dirname, "../node_modules/.cache/compiled"));
  // Imported here, because an old Node cannot parse the rest.
  const { serve } = await import("./serve.ts");
  await serve(process);
} else {
  process.stderr.write(`${fault}\n`);
  process.exitCode = 1;
}
