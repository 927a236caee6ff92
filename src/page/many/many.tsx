import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { View } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { useAnnounce } from "../announce.tsx";
import { toFields } from "../query.ts";
import { wantsToken } from "../failure.ts";
import type { Session } from "../session.ts";
import { counted, numberInWords } from "../words.ts";
import { BatchRun } from "./batch-run.ts";
import { ListForm } from "./list-form.tsx";
import { parseList, queriesOf, type ParsedList } from "./parse-list.ts";
import { Results } from "./results.tsx";

/** How often the rows are drawn while answers arrive, in ms. */
const DRAW_EVERY_MS = 150;

interface ManyProps {
  readonly session: Session;
  /** A text that was pasted elsewhere and has several VINs. */
  readonly pasted: { readonly text: string };
}

/** The tab that looks up a list. */
export function Many({ session, pasted }: ManyProps): VNode {
  const [text, setText] = useState("");
  const [started, setStarted] = useState<{ readonly list: ParsedList; readonly run: BatchRun }>();
  const [usesYears, setUsesYears] = useState(true);
  const list = useMemo(() => (text.trim() === "" ? undefined : parseList(text, usesYears)), [text, usesYears]);
  const draw = useDraw();
  const client = useRef(session.client);
  client.current = session.client;
  const announce = useAnnounce();

  const setList = (next: string): void => {
    started?.run.stop();
    setStarted(undefined);
    setText(next);
  };
  useEffect(() => {
    if (pasted.text !== "") {
      setList(pasted.text);
    }
  }, [pasted]);

  const start = async (run: BatchRun): Promise<void> => {
    await run.start();
    const { total, answered, failed } = run.counts;
    announce(`${numberInWords(answered)} of ${numberInWords(total)}, ${counted(failed, "failure")}`);
  };
  const startNew = (list: ParsedList): void => {
    const run = new BatchRun({
      queries: queriesOf(list),
      ask: (queries, signal) =>
        client.current.batchLookup({ queries: queries.map(toFields), view: View.BASIC }, { signal }),
      onChange: draw,
      wait: waitFor,
    });
    setStarted({ list, run });
    void start(run);
  };
  const hadStarted = useRef(false);
  useLayoutEffect(() => {
    if (hadStarted.current && started === undefined) {
      document.getElementById("list")?.focus();
    }
    hadStarted.current = started !== undefined;
  }, [started]);
  // What lacked its token goes on with the token.
  useEffect(() => {
    const phase = started?.run.phase;
    if (started !== undefined && phase?.kind === "broken" && wantsToken(phase.failure) && session.token !== "") {
      void start(started.run);
    }
  }, [session.token]);

  return started === undefined ? (
    <ListForm text={text} list={list} onText={setList} onUsesYears={setUsesYears} onStart={startNew} />
  ) : (
    <Results
      list={started.list}
      run={started.run}
      onToken={(token) => session.setToken(token)}
      onGoOn={() => void start(started.run)}
      onBack={() => setList(text)}
    />
  );
}

/** Draws again soon after each call, but not more often than the eye needs. */
function useDraw(): () => void {
  const [, setCount] = useState(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(null);
  return () => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      setCount((count) => count + 1);
    }, DRAW_EVERY_MS);
  };
}

function waitFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    });
  });
}
