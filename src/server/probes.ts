import type { Metrics } from "../telemetry/metrics.ts";
import type { Exchange } from "./exchange.ts";
import { answerBytes } from "./exchange.ts";
import type { PlainHandler } from "./router.ts";

/** Everyone may ask, as often as they like: a flood of requests makes no more work than one in this time, in ms. */
const SHARED_MS = 100;

/** Answers 200 with the version for as long as the process responds. */
export function createHealthzHandler(version: string): PlainHandler {
  return { answer: (exchange) => answerLine(exchange, 200, `ok; version ${version}`) };
}

/**
 * Answers 503 while the service stops, else 200. Neither vPIC nor the cache has a part in it: lookups are answered
 * without either, and taking every replica out because their common database is away would end them all.
 *
 * @param findRemark says what does not work at the moment, for people who look.
 */
export function createReadyzHandler(
  isStopping: () => boolean,
  findRemark: () => Promise<string | undefined>,
): PlainHandler {
  const remarkOf = recent(SHARED_MS, findRemark);
  return {
    async answer(exchange) {
      if (isStopping()) {
        answerLine(exchange, 503, "stopping");
        return;
      }
      const remark = await remarkOf();
      answerLine(exchange, 200, remark === undefined ? "ready" : `ready; ${remark}`);
    },
  };
}

/** Answers with the metrics as they are now, or were a tenth of a second ago. */
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
 * Shares one result among all who ask within so many ms of its beginning.
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
