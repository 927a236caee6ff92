import type { Vin } from "../../src/vehicle/vin.ts";
import type { VpicRow } from "../../src/vpic/vpic-answer.ts";
import type { VpicTransport } from "../../src/vpic/vpic-client.ts";
import { VpicError } from "../../src/vpic/vpic-error.ts";
import { toRow } from "../support/fake-vpic-answers.ts";
import { sleep } from "./vins.ts";

/** A vPIC without a network, so that tests with fake timers need no real time. It answers, fails or is silent. */
export class ScriptedTransport implements VpicTransport {
  /** Flaky: 3 of every 10 requests fail, as evenly as can be. */
  mode: "answering" | "failing" | "flaky" | "silent" = "answering";
  latencyMs = 50;
  failureLatencyMs = 50;
  /** Added to the latency of each answer up to six times, in turn. */
  spreadMs = 0;
  /** When each request was sent. */
  readonly sentAt: number[] = [];
  /** The VINs of each request. */
  readonly vins: (readonly Vin[])[] = [];

  async fetchRows(
    queries: Parameters<VpicTransport["fetchRows"]>[0],
    signal: AbortSignal,
  ): Promise<readonly VpicRow[]> {
    this.sentAt.push(performance.now());
    this.vins.push(queries.map(({ vin }) => vin));
    const number = this.sentAt.length;
    const isUnlucky = Math.floor(number * 0.3) > Math.floor((number - 1) * 0.3);
    if (this.mode === "silent") {
      await sleep(3_600_000, signal);
    }
    const isFailing = this.mode === "failing" || (this.mode === "flaky" && isUnlucky);
    await sleep(isFailing ? this.failureLatencyMs : this.latencyMs + (number % 7) * this.spreadMs, signal);
    if (isFailing) {
      throw new VpicError("network", "broken");
    }
    return queries.map(({ vin }) => ({ ...toRow({ vin, modelYear: undefined }, {}), VIN: vin }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
  }
}
