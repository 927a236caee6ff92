import type { Metrics } from "../telemetry/metrics.ts";
import type { Exchange } from "./exchange.ts";
import { answerBytes } from "./exchange.ts";
import type { PlainHandler } from "./plain-call.ts";

/**
 * How long a result is shared, in ms. Anyone may send any number of requests. In this time, a flood of them costs no
 * more than one.
 */
const SHARED_MS = 100;

/** Answers 200 with the version for as long as the process responds. */
export function createHealthzHandler(version: string): PlainHandler {
  return { answer: (exchange) => answerLine(exchange, 200, `ok; version ${version}`) };
}

/**
 * Answers 200 while the service is ready, otherwise 503, with one line for people to read.
 *
 * @param readiness must be cheap, because anyone may send any number of requests.
 */
export function createReadyzHandler(readiness: { readonly isReady: boolean; describe(): string }): PlainHandler {
  return { answer: (exchange) => answerLine(exchange, readiness.isReady ? 200 : 503, readiness.describe()) };
}

/** Answers with the metrics, which may be up to 100 ms old. */
export function createMetricsHandler(metrics: Metrics): PlainHandler {
  const render = recent(SHARED_MS, () => metrics.render());
  return {
    async answer(exchange) {
      const headers = { "content-type": metrics.contentType, "cache-control": "no-store" };
      answerBytes(exchange, 200, headers, await render());
    },
  };
}

function answerLine(exchange: Exchange, status: number, line: string): void {
  const headers = { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" };
  answerBytes(exchange, status, headers, `${line}\n`);
}

/**
 * Shares one result among all calls in a period of time, counted from the start of the work.
 *
 * @param now monotonic clock, ms
 */
export function recent<Result>(
  forMs: number,
  work: () => Promise<Result>,
  now = (): number => performance.now(),
): () => Promise<Result> {
  let latest: { readonly beganAt: number; readonly result: Promise<Result> } | undefined;
  return () => {
    const at = now();
    if (latest === undefined || at - latest.beganAt >= forMs) {
      latest = { beganAt: at, result: work() };
    }
    return latest.result;
  };
}
