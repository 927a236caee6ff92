import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Announcer } from "./announce.tsx";
import type { Place, Tab } from "./fragment.ts";
import { parseFragment, TABS, toFragment } from "./fragment.ts";
import { LookUp } from "./look-up.tsx";
import { Many } from "./many/many.tsx";
import { Service } from "./service/service.tsx";
import type { ServiceStatus, Session } from "./session.ts";
import { PROTOCOLS, useSession } from "./session.ts";
import { dateInWords } from "./words.ts";

const TITLES: Readonly<Record<Tab, string>> = { "look-up": "Look up", many: "Many", service: "Service" };

/** The whole page. All tabs stay as they are while another is shown. */
export function App(): VNode {
  const session = useSession();
  const { place, arrived, go, show } = usePlaces();
  const [pasted, setPasted] = useState({ text: "" });
  return (
    <Announcer>
      <header class="bar">
        <div class="bar-inner">
          <h1>VehicleService</h1>
          <Tabs tab={place.tab} onTab={show} />
        </div>
      </header>
      <main>
        <Panel tab="look-up" shown={place.tab}>
          <LookUp
            session={session}
            arrived={arrived}
            isShown={place.tab === "look-up"}
            onPlace={go}
            onMany={(text) => {
              setPasted({ text });
              show("many");
            }}
          />
        </Panel>
        <Panel tab="many" shown={place.tab}>
          <Many session={session} pasted={pasted} />
        </Panel>
        <Panel tab="service" shown={place.tab}>
          <Service session={session} isShown={place.tab === "service"} />
        </Panel>
      </main>
      <Foot session={session} />
    </Announcer>
  );
}

interface Places {
  readonly place: Place;
  /** What the address said when the page was opened or the address was changed. */
  readonly arrived: Place;
  /** Shows another place, and writes it into the address without a new entry in the history. */
  readonly go: (place: Place) => void;
  /** Shows a tab as it was left. */
  readonly show: (tab: Tab) => void;
}

function usePlaces(): Places {
  const [arrived, setArrived] = useState(() => parseFragment(location.hash));
  const [place, setPlace] = useState(arrived);
  const lookedUp = useRef(arrived);
  useEffect(() => {
    const follow = (): void => {
      const next = parseFragment(location.hash);
      setArrived(next);
      setPlace(next);
    };
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const go = (next: Place): void => {
    if (next.tab === "look-up") {
      lookedUp.current = next;
    }
    history.replaceState(null, "", toFragment(next));
    setPlace(next);
  };
  const show = (tab: Tab): void => go(tab === "look-up" ? { ...lookedUp.current, tab } : { tab, vin: "", year: "" });
  return { place, arrived, go, show };
}

function Tabs({ tab, onTab }: { tab: Tab; onTab: (tab: Tab) => void }): VNode {
  const list = useRef<HTMLDivElement>(null);
  const move = (event: KeyboardEvent): void => {
    const index = TABS.indexOf(tab);
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: TABS.length - 1 }[event.key];
    const target = next === undefined ? undefined : TABS.at(next % TABS.length);
    if (target !== undefined) {
      event.preventDefault();
      onTab(target);
      list.current?.querySelector<HTMLElement>(`#tab-${target}`)?.focus();
    }
  };
  return (
    <div role="tablist" aria-label="Parts of this page" ref={list} onKeyDown={move}>
      {TABS.map((name) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`tab-${name}`}
          aria-controls={`panel-${name}`}
          aria-selected={name === tab}
          tabIndex={name === tab ? 0 : -1}
          onClick={() => onTab(name)}
        >
          {TITLES[name]}
        </button>
      ))}
    </div>
  );
}

function Panel({ tab, shown, children }: { tab: Tab; shown: Tab; children: VNode }): VNode {
  return (
    <section role="tabpanel" id={`panel-${tab}`} aria-labelledby={`tab-${tab}`} hidden={tab !== shown} tabIndex={-1}>
      {children}
    </section>
  );
}

function Foot({ session }: { session: Session }): VNode {
  const { status, protocol, setProtocol, token, setToken } = session;
  return (
    <footer>
      <p>{status === undefined ? "" : describe(status)}</p>
      {token !== "" && (
        <button type="button" class="small" onClick={() => setToken("")}>
          Forget the token{status?.access.caller === undefined ? "" : ` “${status.access.caller}”`}
        </button>
      )}
      <label>
        Protocol
        <select value={protocol} onChange={({ currentTarget }) => setProtocol(toProtocol(currentTarget.value))}>
          {PROTOCOLS.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
    </footer>
  );
}

function toProtocol(text: string): Session["protocol"] {
  return PROTOCOLS.find((name) => name === text) ?? "Connect";
}

function describe({ version, sources, snapshot }: ServiceStatus): string {
  const names = sources.map((name) => (name === "vpic" ? "vPIC" : describeSnapshot(snapshot)));
  return `Version ${version}. Data of NHTSA, the US road-safety agency: ${names.join(", then ")}.`;
}

function describeSnapshot({ state, dataDate, isEmbedded }: ServiceStatus["snapshot"]): string {
  const copy = isEmbedded ? "the embedded copy" : "a copy of its database";
  return state === "ready" && dataDate !== undefined
    ? `${copy} of ${dateInWords(dataDate)}`
    : `${copy}, ${state === "preparing" ? "being unpacked" : "which cannot be used"}`;
}
