import type { AccessGuard } from "../access/access-guard.ts";
import { isRefusal } from "../access/access-guard.ts";
import { answerBytes } from "./exchange.ts";
import { recent } from "./probes.ts";
import type { PlainHandler } from "./plain-call.ts";

/** How long a count of the cache is shared, in ms. Counting a million entries takes about 50 ms. */
const CACHE_MS = 15_000;

export interface StatusOptions {
  readonly version: string;
  readonly guard: AccessGuard;
  /** The names of the sources, in the order in which they are asked. */
  readonly sources: readonly string[];
  /** The state of the snapshot; undefined when it is not a source. */
  readonly snapshot: () => { readonly state: string; readonly dataDate?: string } | undefined;
  /** Whether the snapshot is the copy that ships with the service, which has only some of the attributes. */
  readonly isEmbedded: boolean;
  /** The number of processes that serve. */
  readonly workers: number;
  /** Figures about the cache; undefined when its database does not answer. */
  readonly cache: () => Promise<object | undefined>;
}

/**
 * Answers with JSON that the page shows and the metrics lack: the version, figures about the cache, the date of the
 * data and the caller's scopes. The answer contains no VIN. The only token that it names is the caller's own.
 */
export function createStatusHandler(options: StatusOptions): PlainHandler {
  const { version, guard, sources, snapshot, isEmbedded, workers, cache } = options;
  const contents = recent(CACHE_MS, cache);
  return {
    async answer(exchange) {
      const admitted = guard.admit(exchange.headers.authorization, exchange.peer.address);
      const access = isRefusal(admitted)
        ? { refusal: admitted.reason, scopes: [] }
        : { caller: admitted.name, scopes: [...admitted.scopes] };
      const { state, dataDate } = snapshot() ?? {};
      const copy = { state, dataDate, isEmbedded };
      const status = { version, workers, sources, snapshot: copy, access, cache: await contents() };
      const headers = { "content-type": "application/json", "cache-control": "no-store" };
      answerBytes(exchange, 200, headers, JSON.stringify(status));
    },
  };
}
