import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { ServiceStatus, Session } from "../session.ts";
import { TokenForm } from "../token-form.tsx";
import { CallTable } from "./call-table.tsx";
import { ExportPart } from "./export-part.tsx";
import { Plots } from "./plots.tsx";
import { RemovePart } from "./remove-part.tsx";
import { CacheTile, HitTile, ServiceTile, VpicTile } from "./tiles.tsx";
import { useFigures } from "./use-figures.ts";

/** How often the contents of the cache are asked for, in ms. */
const STATUS_EVERY_MS = 15_000;

/** The tab that shows how the service does, and what the caller may do with its cache. */
export function Service({ session, isShown }: { session: Session; isShown: boolean }): VNode {
  const { history, isLost } = useFigures(isShown);
  const { status, refreshStatus } = session;
  useEffect(() => {
    if (!isShown) {
      return undefined;
    }
    void refreshStatus();
    const timer = setInterval(() => void refreshStatus(), STATUS_EVERY_MS);
    return () => clearInterval(timer);
  }, [isShown, refreshStatus]);
  const scopes = status?.access.scopes ?? [];
  return (
    <div class="service">
      {isLost && (
        <p class="notice bad" role="alert">
          The service does not answer.{history !== undefined && " The figures below are from before."}
        </p>
      )}
      {isShown && status?.access.refusal !== undefined && (
        <TokenForm reason={refusalInWords(status.access.refusal)} onToken={(token) => session.setToken(token)} />
      )}
      <div class="tiles">
        <CacheTile status={status} />
        <HitTile reading={history?.latest} />
        <VpicTile reading={history?.latest} figures={history?.figures} isSource={status?.sources.includes("vpic")} />
        <ServiceTile status={status} reading={history?.latest} />
      </div>
      <Plots figures={history?.figures ?? []} />
      {history !== undefined && <CallTable history={history} />}
      <div class="actions">
        {scopes.includes("remove") && <RemovePart session={session} />}
        {scopes.includes("export") && <ExportPart session={session} />}
      </div>
      {status !== undefined && status.access.refusal === undefined && <Scopes status={status} />}
    </div>
  );
}

function Scopes({ status }: { status: ServiceStatus }): VNode | null {
  const { caller = "", scopes } = status.access;
  const all = { lookup: "look up vehicles", remove: "remove entries", export: "export the cache" };
  const missing = Object.entries(all).flatMap(([scope, words]) => (scopes.includes(scope) ? [] : [words]));
  return missing.length === 0 ? null : (
    <p class="hint">
      The token “{caller}” may not {missing.join(" or ")}.
    </p>
  );
}

function refusalInWords(refusal: string): string {
  if (refusal === "RATE_LIMITED") {
    return "Too many calls without a valid token. Wait a moment, then enter a token.";
  }
  return refusal === "TOKEN_UNKNOWN"
    ? "This token is unknown or has expired."
    : "Enter a token to remove entries or to export the cache. The figures are shown without one.";
}
