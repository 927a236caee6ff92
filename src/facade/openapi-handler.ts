import { readFileSync } from "node:fs";
import { answerBytes } from "../server/exchange.ts";
import type { PlainHandler } from "../server/plain-call.ts";

/** The document, which `npm run generate` writes. */
const DOCUMENT = new URL("../../gen/openapi.json", import.meta.url);

/** Serves `GET /openapi.json`, which describes the RPCs over HTTP and the other paths. */
export function createOpenApiHandler(): PlainHandler {
  const document = readFileSync(DOCUMENT);
  const headers = {
    "content-type": "application/json",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
  };
  return { answer: (exchange) => answerBytes(exchange, 200, headers, document) };
}
