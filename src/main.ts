import { nodeFault } from "./node-version.js";

const fault = nodeFault(process.versions.node);
if (fault === undefined) {
  // An old Node cannot even read the rest.
  const { serve } = await import("./serve.ts");
  await serve(process);
} else {
  process.stderr.write(`${fault}\n`);
  process.exitCode = 1;
}
