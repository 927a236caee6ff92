import type { VNode } from "preact";
import type { ServiceStatus } from "../session.ts";
import { ageInWords, bytesInWords, dateInWords, numberInWords, secondsInWords, spanInWords } from "../words.ts";
import type { Figures, Reading } from "./figures.ts";
import { breakerOf, hitRatioOf, sumOf } from "./figures.ts";

const BREAKER = { closed: "In use", "half-open": "Trying again", open: "Paused after failures" } as const;
const STATES: Readonly<Record<string, string>> = {
  ready: "ready",
  preparing: "being unpacked",
  unavailable: "cannot be used",
};

function Tile({ title, value, rows }: { title: string; value: string; rows: readonly (readonly string[])[] }): VNode {
  return (
    <section class="tile">
      <h2>{title}</h2>
      <p class="value">{value}</p>
      <dl>
        {rows.map(([name, words]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** What the cache holds. */
export function CacheTile({ status }: { status: ServiceStatus | undefined }): VNode {
  const cache = status?.cache;
  if (cache === undefined) {
    return (
      <Tile title="In the cache" value="–" rows={[["State", status === undefined ? "asking" : "does not answer"]]} />
    );
  }
  const { entries } = cache;
  const countOf = (matches: (entry: (typeof entries)[number]) => boolean): number =>
    entries.filter(matches).reduce((sum, { count }) => sum + count, 0);
  const oldestAt = Math.min(...entries.map(({ oldestAt }) => oldestAt));
  return (
    <Tile
      title="In the cache"
      value={numberInWords(countOf(() => true))}
      rows={[
        ["From vPIC", numberInWords(countOf(({ source, isNegative }) => source === "vpic" && !isNegative))],
        ["From the snapshot", numberInWords(countOf(({ source, isNegative }) => source === "snapshot" && !isNegative))],
        ["Not decodable", numberInWords(countOf(({ isNegative }) => isNegative))],
        ["Oldest", Number.isFinite(oldestAt) ? ageInWords(Date.now() - oldestAt) : "–"],
        ["Size", bytesInWords(cache.bytes)],
      ]}
    />
  );
}

/** How look-ups were answered since the start. */
export function HitTile({ reading }: { reading: Reading | undefined }): VNode {
  const ratio = reading === undefined ? undefined : hitRatioOf(reading);
  const countOf = (result: string): string =>
    reading === undefined ? "–" : numberInWords(sumOf(reading.metrics, "vehicle_lookups_total", { result }));
  return (
    <Tile
      title="Answered from the cache"
      value={ratio === undefined ? "–" : `${(ratio * 100).toFixed(1)} %`}
      rows={[
        ["Fresh", countOf("fresh")],
        ["Stale", countOf("stale")],
        ["Decoded", countOf("decoded")],
        ["Not decodable", countOf("not_decoded")],
        ["Failed", countOf("failed")],
      ]}
    />
  );
}

interface VpicTileProps {
  readonly reading: Reading | undefined;
  readonly figures: readonly Figures[] | undefined;
  readonly isSource: boolean | undefined;
}

/** How vPIC does. */
export function VpicTile({ reading, figures, isSource }: VpicTileProps): VNode {
  const breaker = reading === undefined ? undefined : breakerOf(reading);
  const gauge = (name: string): string =>
    reading === undefined ? "–" : numberInWords(Math.floor(sumOf(reading.metrics, name)));
  const median = figures?.findLast(({ vpicMedian }) => vpicMedian !== undefined)?.vpicMedian;
  if (isSource === false) {
    return <Tile title="vPIC" value="Not a source" rows={[["Decodes", "the service itself"]]} />;
  }
  return (
    <Tile
      title="vPIC"
      value={breaker === undefined ? "–" : BREAKER[breaker]}
      rows={[
        ["Requests allowed now", gauge("vehicle_vpic_available_requests")],
        ["Running", gauge("vehicle_vpic_running_requests")],
        ["Waiting", gauge("vehicle_vpic_waiting_requests")],
        ["VINs being gathered", gauge("vehicle_vpic_gathering_vins")],
        ["Median latency", median === undefined ? "–" : secondsInWords(median)],
      ]}
    />
  );
}

/** The version, the data of the snapshot, and the processes. */
export function ServiceTile({
  status,
  reading,
}: {
  status: ServiceStatus | undefined;
  reading: Reading | undefined;
}): VNode {
  // Several processes have no common start.
  const startedAt = reading === undefined ? 0 : 1_000 * sumOf(reading.metrics, "process_start_time_seconds");
  const { state, dataDate } = status?.snapshot ?? {};
  return (
    <Tile
      title="Version"
      value={status?.version ?? "–"}
      rows={[
        ["Snapshot", status === undefined ? "–" : state === undefined ? "not a source" : (STATES[state] ?? state)],
        ["Its data", dataDate === undefined ? "–" : dateInWords(dataDate)],
        ["Processes", status === undefined ? "–" : numberInWords(status.workers)],
        ["Running for", startedAt === 0 ? "–" : spanInWords(Date.now() - startedAt)],
        [
          "Refused calls",
          reading === undefined ? "–" : numberInWords(sumOf(reading.metrics, "vehicle_calls_refused_total")),
        ],
      ]}
    />
  );
}
