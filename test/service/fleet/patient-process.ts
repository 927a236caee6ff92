/** Runs the service with long time limits, so that a slow machine does not look like a broken database or client. */
import { enableCompileCache } from "node:module";
import { join } from "node:path";

const PATIENCE_MS = 60_000;

enableCompileCache(join(import.meta.dirname, "../../../node_modules/.cache/compiled"));
const { serve } = await import("../../../src/serve.ts");
await serve(process, {
  databaseTimeoutMs: 5_000,
  limits: { firstBytesMs: PATIENCE_MS, http1: { headersMs: PATIENCE_MS } },
});
