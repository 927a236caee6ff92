import type { VNode } from "preact";
import { numberInWords, secondsInWords } from "../words.ts";
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
  const perSecond = (value: number): string => (value >= 100 ? numberInWords(Math.round(value)) : trim(value));
  return (
    <div class="plots">
      <Plot
        title="Look-ups per second"
        times={times}
        format={perSecond}
        lines={[
          line("all", "--accent", ({ lookups }) => lookups),
          line("from the cache", "--good", ({ hits }) => hits),
        ]}
      />
      <Plot
        title="Time of a Lookup"
        times={times}
        format={secondsInWords}
        lines={[
          line("half are quicker", "--accent", ({ median }) => median),
          line("99 of 100", "--doubt", ({ slowest }) => slowest),
        ]}
      />
      <Plot
        title="Requests to vPIC per second"
        times={times}
        format={perSecond}
        lines={[line("requests", "--accent", ({ vpicRequests }) => vpicRequests)]}
      />
      <Plot
        title="Waiting"
        times={times}
        format={perSecond}
        lines={[
          line("calls in flight", "--accent", ({ inFlight }) => inFlight),
          line("for vPIC", "--doubt", ({ waitingForVpic }) => waitingForVpic),
        ]}
      />
    </div>
  );
}

function trim(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}
