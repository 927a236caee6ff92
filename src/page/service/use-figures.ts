import { useEffect, useState } from "preact/hooks";
import type { Figures, Reading } from "./figures.ts";
import { figuresOf } from "./figures.ts";
import { parseMetrics } from "./prometheus.ts";

/** The time from one reading to the next request, in ms. */
const READ_EVERY_MS = 2_000;
/** How long figures are kept, in ms. */
const KEPT_MS = 600_000;

/** What has been read of the service so far. */
export interface History {
  /** The figures of the last ten minutes, oldest first. */
  readonly figures: readonly Figures[];
  readonly first: Reading;
  readonly before: Reading;
  readonly latest: Reading;
}

/** Reads the metrics from the first time that they are shown, for as long as the page is open and in sight. */
export function useFigures(isShown: boolean): { readonly history: History | undefined; readonly isLost: boolean } {
  const [isOn, setOn] = useState(false);
  const [history, setHistory] = useState<History>();
  const [isLost, setLost] = useState(false);
  useEffect(() => setOn((wasOn) => wasOn || isShown), [isShown]);
  useEffect(() => {
    if (!isOn) {
      return undefined;
    }
    const read = async (): Promise<void> => {
      if (document.visibilityState === "hidden") {
        return;
      }
      try {
        const response = await fetch("/metrics");
        const metrics = parseMetrics(await response.text());
        if (!response.ok || metrics.length === 0) {
          throw new Error("no metrics");
        }
        const latest = { at: Date.now(), metrics };
        setHistory((old) => extend(old, latest));
        setLost(false);
      } catch {
        setLost(true);
      }
    };
    // The next request waits for the answer: two readings that a slow service answers at once would show a false peak.
    let isOver = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const keepReading = async (): Promise<void> => {
      await read();
      if (!isOver) {
        timer = setTimeout(() => void keepReading(), READ_EVERY_MS);
      }
    };
    void keepReading();
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [isOn]);
  return { history, isLost };
}

function extend(old: History | undefined, latest: Reading): History {
  if (old === undefined || latest.at <= old.latest.at) {
    return { figures: [], first: latest, before: latest, latest };
  }
  const kept = old.figures.filter(({ at }) => at * 1_000 > latest.at - KEPT_MS);
  return { figures: [...kept, figuresOf(old.latest, latest)], first: old.first, before: old.latest, latest };
}
