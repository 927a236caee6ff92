import type { VNode } from "preact";
import { rateInWords, secondsInWords } from "../words.ts";
import type { Figures } from "./figures.ts";
import { Plot, type Line } from "./plot.tsx";

/** The last ten minutes. */
export function Plots({ figures }: { figures: readonly Figures[] }): VNode {
  const times = figures.map(({ at }) => at);
  const line = (name: string, color: string, read: (figures: Figures) => number | undefined): Line => ({
    name,
    color,
    values: figures.map((each) => read(each) ?? null),
  });
  return (
    <div class="plots">
      <Plot
        title="Look-ups per second"
        times={times}
        format={rateInWords}
        lines={[
          line("all", "--accent", ({ lookups }) => lookups),
          line("from the cache", "--second", ({ hits }) => hits),
        ]}
      />
      <Plot
        title="Latency of Lookup"
        times={times}
        format={secondsInWords}
        lines={[
          line("median", "--accent", ({ median }) => median),
          line("99th percentile", "--second", ({ slowest }) => slowest),
        ]}
      />
      <Plot
        title="Requests to vPIC per second"
        times={times}
        format={rateInWords}
        lines={[line("requests", "--accent", ({ vpicRequests }) => vpicRequests)]}
      />
      <Plot
        title="Waiting"
        times={times}
        format={rateInWords}
        lines={[
          line("calls in flight", "--accent", ({ inFlight }) => inFlight),
          line("for vPIC", "--second", ({ waitingForVpic }) => waitingForVpic),
        ]}
      />
    </div>
  );
}
