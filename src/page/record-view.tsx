import type { VNode } from "preact";
import { useMemo, useState } from "preact/hooks";
import type { Entry } from "./variables.ts";
import { filterGroups, groupRecord } from "./variables.ts";

interface RecordViewProps {
  readonly attributes: Readonly<Record<string, string>>;
  /** Whether the source has only a part of vPIC's variables. */
  readonly isPart: boolean;
}

/** The record of a vehicle, grouped as vPIC groups it, with a filter. */
export function RecordView({ attributes, isPart }: RecordViewProps): VNode {
  const [filter, setFilter] = useState("");
  const { groups, internal } = useMemo(() => groupRecord(attributes), [attributes]);
  if (groups.length === 0 && internal.length === 0) {
    return <p class="hint record">There is nothing else on record.</p>;
  }
  const shown = filterGroups(groups, filter);
  return (
    <section class="record" aria-label="Record">
      <div class="record-head">
        <h3>Record</h3>
        <input
          type="search"
          name="filter"
          aria-label="Filter the record"
          placeholder="Filter"
          autocomplete="off"
          value={filter}
          onInput={({ currentTarget }) => setFilter(currentTarget.value)}
        />
      </div>
      {isPart && <p class="hint">The embedded copy has a part of vPIC’s variables.</p>}
      <div class="groups">
        {shown.map(({ title, entries }) => (
          <section key={title} class="group">
            <h4>{title}</h4>
            <Entries entries={entries} />
          </section>
        ))}
      </div>
      {shown.length === 0 && <p class="hint">Nothing in the record matches “{filter}”.</p>}
      {internal.length > 0 && filter === "" && (
        <details class="internal">
          <summary>Internal ids</summary>
          <Entries entries={internal} />
        </details>
      )}
    </section>
  );
}

function Entries({ entries }: { entries: readonly Entry[] }): VNode {
  return (
    <dl>
      {entries.map(({ name, words, value }) => (
        <div key={name}>
          <dt title={name}>{words}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
