import { readFileSync } from "node:fs";
import { answerBytes } from "../server/exchange.ts";
import type { PlainHandler } from "../server/plain-call.ts";

/** `npm run generate` writes it. */
const DOCUMENT = new URL("../../gen/openapi.json", import.meta.url);

/** Serves `GET /openapi.json`: the description of the RPCs over HTTP, and of the paths beside them. */
export function createOpenApiHandler(): PlainHandler {
  const document = readFileSync(DOCUMENT);
  const headers = {
    "content-type": "application/json",
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
  };
  return { answer: (exchange) => answerBytes(exchange, 200, headers, document) };
}
