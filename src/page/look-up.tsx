import type { VNode } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import type { LookupResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { View } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { useAnnounce } from "./announce.tsx";
import { checkVin } from "./check-vin.ts";
import type { Failure } from "./failure.ts";
import { toFailure, wantsToken } from "./failure.ts";
import type { Place } from "./fragment.ts";
import { toFields, type Query } from "./query.ts";
import type { Session } from "./session.ts";
import { findVins, tidyVin } from "./tidy-vin.ts";
import { TokenForm } from "./token-form.tsx";
import { VehicleView } from "./vehicle-view.tsx";
import { badgeOf, headlineOf } from "./vehicle-words.ts";
import { VinForm } from "./vin-form.tsx";

const EXAMPLES = [
  ["1XPWD40X1ED215307", "Peterbilt truck"],
  ["1FAHP2J82EG109854", "Ford sedan"],
  ["1C4BJWDG3DL501677", "Jeep"],
  ["WVWKG61J34D132375", "Volkswagen"],
] as const;

type Answer =
  | { readonly kind: "none" }
  | { readonly kind: "asking"; readonly query: Query }
  | { readonly kind: "vehicle"; readonly query: Query; readonly vehicle: LookupResponse }
  | { readonly kind: "failure"; readonly query: Query; readonly failure: Failure };

interface LookUpProps {
  readonly session: Session;
  /** What the address said when the page was opened or the address was changed. */
  readonly arrived: Place;
  readonly isShown: boolean;
  readonly onPlace: (place: Place) => void;
  /** Called with a text that holds several VINs. */
  readonly onMany: (text: string) => void;
}

/** The tab that looks one VIN up. */
export function LookUp({ session, arrived, isShown, onPlace, onMany }: LookUpProps): VNode {
  const [text, setText] = useState(arrived.vin);
  const [year, setYear] = useState(arrived.year);
  const [answer, ask] = useAnswer(session);
  const yearField = useRef<HTMLInputElement>(null);
  const asked = answer.kind === "none" ? undefined : answer.query;

  const lookUp = (vin: string, modelYear: string, isAfresh = false): void => {
    setText(vin);
    setYear(modelYear);
    onPlace({ tab: "look-up", vin, year: modelYear });
    ask({ vin, modelYear: modelYear === "" ? undefined : Number(modelYear) }, isAfresh);
  };
  const take = (pasted: string): void => {
    const vins = findVins(pasted);
    if (vins.length > 1) {
      onMany(pasted);
      return;
    }
    const vin = vins[0] ?? tidyVin(pasted);
    setText(vin);
    if (checkVin(vin).state === "good") {
      // The year of the vehicle before is not that of the next one.
      const isOfBefore = asked !== undefined && asked.vin !== vin && yearOf(asked) === year;
      lookUp(vin, isOfBefore ? "" : year);
    }
  };
  useEffect(() => {
    if (checkVin(arrived.vin).state === "good") {
      lookUp(tidyVin(arrived.vin), arrived.year);
    } else if (arrived.vin !== "") {
      setText(arrived.vin);
    }
  }, [arrived]);
  usePasteAnywhere(isShown, take);

  return (
    <>
      <VinForm
        text={text}
        year={year}
        yearField={yearField}
        isAsking={answer.kind === "asking" && answer.query.vin === tidyVin(text) && yearOf(answer.query) === year}
        onText={setText}
        onYear={setYear}
        onPaste={take}
        onSubmit={lookUp}
      />
      {(asked === undefined || text === "") && <Examples onVin={(vin) => lookUp(vin, "")} />}
      <div class="answer" aria-busy={answer.kind === "asking"}>
        {answer.kind === "asking" && <Waiting session={session} vin={answer.query.vin} />}
        {answer.kind === "failure" && (
          <Failed
            failure={answer.failure}
            onToken={(token) => session.setToken(token)}
            onRetry={() => ask(answer.query)}
            onVin={(vin) => lookUp(vin, yearOf(answer.query))}
          />
        )}
        {answer.kind === "vehicle" && (
          <VehicleView
            vehicle={answer.vehicle}
            query={answer.query}
            needsToken={session.needsToken}
            isPart={session.status?.snapshot.isEmbedded === true}
            onVin={(vin) => lookUp(vin, yearOf(answer.query))}
            onYear={() => yearField.current?.focus()}
            onAskAgain={() => lookUp(answer.query.vin, yearOf(answer.query), true)}
          />
        )}
      </div>
    </>
  );
}

function Examples({ onVin }: { onVin: (vin: string) => void }): VNode {
  return (
    <div class="examples">
      <span id="examples">Examples</span>
      <ul aria-labelledby="examples">
        {EXAMPLES.map(([vin, name]) => (
          <li key={vin}>
            <button type="button" class="chip" onClick={() => onVin(vin)}>
              <span class="vin">{vin}</span> <span class="chip-name">{name}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function yearOf({ modelYear }: Query): string {
  return String(modelYear ?? "");
}

/** The answer to the latest question. An earlier question is canceled, and its answer is never shown. */
function useAnswer(session: Session): [Answer, (query: Query, isAfresh?: boolean) => void] {
  const [answer, setAnswer] = useState<Answer>({ kind: "none" });
  const running = useRef<AbortController>(null);
  const announce = useAnnounce();
  const { client, token } = session;
  const ask = useCallback(
    async (query: Query, isAfresh = false): Promise<void> => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      setAnswer({ kind: "asking", query });
      let next: Answer;
      try {
        const request = {
          ...toFields(query),
          view: View.FULL,
          ...(isAfresh ? { maxAge: { seconds: 0n } } : {}),
        };
        const vehicle = await client.lookup(request, { signal: controller.signal });
        next = { kind: "vehicle", query, vehicle };
      } catch (error) {
        next = { kind: "failure", query, failure: toFailure(error) };
      }
      if (running.current === controller) {
        setAnswer(next);
        announce(next.kind === "vehicle" ? spoken(next.vehicle) : "");
      }
    },
    [client, announce],
  );
  // A question that lacked its token is asked again with the token.
  useEffect(() => {
    if (answer.kind === "failure" && wantsToken(answer.failure) && token !== "") {
      void ask(answer.query);
    }
  }, [token]);
  return [answer, (query, isAfresh) => void ask(query, isAfresh)];
}

function spoken(vehicle: LookupResponse): string {
  const { name, body } = headlineOf(vehicle);
  return [name, body, badgeOf(vehicle.verdict?.codes ?? []).words].filter((part) => part !== "").join(", ");
}

/** Takes what is pasted while no field has the focus. */
function usePasteAnywhere(isShown: boolean, take: (text: string) => void): void {
  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      const isForField = event.target instanceof Element && event.target.closest("input, textarea, select") !== null;
      const text = event.clipboardData?.getData("text") ?? "";
      if (isShown && !isForField && text.trim() !== "") {
        event.preventDefault();
        take(text);
      }
    };
    document.addEventListener("paste", paste);
    return () => document.removeEventListener("paste", paste);
  });
}

function Waiting({ session, vin }: { session: Session; vin: string }): VNode {
  const asked = session.status?.sources.includes("vpic") === false ? "its copy of NHTSA’s data" : "vPIC";
  return (
    <p class="waiting" role="status">
      <span class="dot" aria-hidden="true" />
      <span>
        Asking {asked} about <span class="vin">{vin}</span>&nbsp;…
      </span>
    </p>
  );
}

interface FailedProps {
  readonly failure: Failure;
  readonly onToken: (token: string) => void;
  readonly onRetry: () => void;
  readonly onVin: (vin: string) => void;
}

function Failed({ failure, onToken, onRetry, onVin }: FailedProps): VNode {
  const { kind, sentence, likelyVin } = failure;
  if (wantsToken(failure)) {
    return <TokenForm reason={sentence} onToken={onToken} />;
  }
  return (
    <div class="notice bad">
      <p role="alert">{sentence}</p>
      <div class="row">
        {likelyVin !== undefined && (
          <button type="button" onClick={() => onVin(likelyVin)}>
            Look up <span class="vin">{likelyVin}</span>
          </button>
        )}
        {(kind === "transient" || kind === "limited") && (
          <button type="button" onClick={onRetry}>
            Try again
          </button>
        )}
      </div>
    </div>
  );
}
