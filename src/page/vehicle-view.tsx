import { toJson } from "@bufbuild/protobuf";
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { LookupResponse, Verdict } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { commandsFor } from "./commands.ts";
import { CopyButton } from "./copy-button.tsx";
import { breakable } from "./breakable.tsx";
import type { Query } from "./query.ts";
import { RecordView } from "./record-view.tsx";
import { tryVin } from "./tidy-vin.ts";
import { badgeOf, freshnessInWords, headlineOf, partsOf, remarksOf, sourceInWords } from "./vehicle-words.ts";

/** How often ages are updated. */
const AGES_EVERY_MS = 20_000;

interface VehicleViewProps {
  readonly vehicle: LookupResponse;
  readonly query: Query;
  readonly needsToken: boolean;
  /** Whether answers of the snapshot have a part of the attributes. */
  readonly isPart: boolean;
  /** Looks another VIN up. */
  readonly onVin: (vin: string) => void;
  /** Goes to the field for the model year. */
  readonly onYear: () => void;
  /** Asks the sources again, past the cache. */
  readonly onAskAgain: () => void;
}

/** Everything known of one vehicle. */
export function VehicleView({
  vehicle,
  query,
  needsToken,
  isPart,
  onVin,
  onYear,
  onAskAgain,
}: VehicleViewProps): VNode {
  const now = useNow();
  const { name, body } = headlineOf(vehicle);
  const commands = commandsFor({ ...query, vin: vehicle.vin, origin: location.origin, needsToken });
  const freshness = freshnessInWords(vehicle);
  return (
    <article>
      <div class="vehicle-head">
        <h2>
          <span>{breakable(name, "/")}</span>
          {body !== "" && (
            <span class="body-class">
              <span class="dot-between"> · </span>
              {breakable(body, "/")}
            </span>
          )}
        </h2>
        <div class="facts">
          {vehicle.verdict !== undefined && (
            <VerdictView
              verdict={vehicle.verdict}
              vin={vehicle.vin}
              canGiveYear={query.modelYear === undefined}
              onVin={onVin}
              onYear={onYear}
            />
          )}
          <p class={vehicle.stale ? "origin stale" : "origin"}>
            <time dateTime={decodedAt(vehicle)} title={decodedAt(vehicle)}>
              {sourceInWords(vehicle, now)}
            </time>
            {freshness !== "" && `, ${freshness}`}
            {vehicle.cached && ". "}
            {vehicle.cached && (
              <button type="button" class="link" onClick={onAskAgain}>
                {vehicle.source === Source.VPIC ? "Ask vPIC again" : "Ask again"}
              </button>
            )}
          </p>
        </div>
        <VinParts vin={vehicle.vin} />
        <div class="copies" role="group" aria-label="Copy as">
          <span class="hint" aria-hidden="true">
            Copy as
          </span>
          <CopyButton label="JSON" text={() => JSON.stringify(toJson(LookupResponseSchema, vehicle), null, 2)} />
          <CopyButton label="curl" text={() => commands.curl} />
          <CopyButton label="grpcurl" text={() => commands.grpcurl} />
          <CopyButton label="buf curl" text={() => commands.bufCurl} />
        </div>
      </div>
      <RecordView
        key={vehicle.vin}
        attributes={vehicle.attributes}
        isPart={isPart && vehicle.source === Source.SNAPSHOT}
      />
    </article>
  );
}

function VinParts({ vin }: { vin: string }): VNode {
  return (
    <dl class="vin-parts" aria-label={`VIN ${vin}`}>
      {partsOf(vin).map(({ text, name, says }) => (
        <div key={name}>
          <dt>
            <abbr>{name}</abbr> <span>{says}</span>
          </dt>
          <dd class="vin">{text}</dd>
        </div>
      ))}
    </dl>
  );
}

interface VerdictViewProps extends Pick<VehicleViewProps, "onVin" | "onYear"> {
  readonly verdict: Verdict;
  readonly vin: string;
  readonly canGiveYear: boolean;
}

function VerdictView({ verdict, vin, canGiveYear, onVin, onYear }: VerdictViewProps): VNode {
  const { tone, words } = badgeOf(verdict.codes);
  const { text, additionalText, possibleValues } = verdict;
  return (
    <div class="verdict">
      <details>
        <summary>
          <span class={`badge ${tone}`}>{words}</span>
          <span class="hint">vPIC’s words</span>
        </summary>
        <div class="verdict-text">
          <ul>
            {remarksOf(text).map((remark) => (
              <li key={remark}>{remark}</li>
            ))}
          </ul>
          {additionalText !== "" && <p>{additionalText}</p>}
          {possibleValues !== "" && (
            <p>
              Possible at the positions in error: <span class="vin">{possibleValues}</span>
            </p>
          )}
        </div>
      </details>
      {canGiveYear && /model year/i.test(additionalText) && (
        <button type="button" class="link" onClick={onYear}>
          Enter the model year, if you know it
        </button>
      )}
      <Suggestion label="NHTSA suggests" suggested={verdict.suggestedVin} vin={vin} onVin={onVin} />
      <Suggestion label="Our guess" suggested={verdict.likelyVin} vin={vin} onVin={onVin} />
    </div>
  );
}

interface SuggestionProps {
  readonly label: string;
  readonly suggested: string;
  readonly vin: string;
  readonly onVin: (vin: string) => void;
}

function Suggestion({ label, suggested, vin, onVin }: SuggestionProps): VNode | null {
  if (suggested === "" || suggested === vin) {
    return null;
  }
  const tried = tryVin(suggested);
  return (
    <p class="suggestion">
      {label}{" "}
      {"vin" in tried ? (
        <button type="button" class="small" onClick={() => onVin(tried.vin)}>
          Look up <span class="vin">{tried.vin}</span>
        </button>
      ) : (
        <span class="vin">{suggested}</span>
      )}
    </p>
  );
}

function decodedAt({ decodeTime }: LookupResponse): string {
  return decodeTime === undefined ? "" : new Date(Number(decodeTime.seconds) * 1_000).toISOString();
}

/** The time in ms since the epoch, renewed now and then. */
function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), AGES_EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
