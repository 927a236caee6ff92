import { AccessGuard, toStrangersRates } from "./access/access-guard.ts";
import { isOpenToAll, ownHosts } from "./access/listen-safety.ts";
import { RateLimiter } from "./access/rate-limiter.ts";
import { TokensFile } from "./access/tokens-file.ts";
import type { Config } from "./config.ts";
import type { AuditLogger } from "./telemetry/logger.ts";

/** Who decides who may come in, and how often; disposing of it ends what it watches. */
export interface Access extends AsyncDisposable {
  readonly guard: AccessGuard;
  /** Whether HTTP requests may be for this host; undefined when they may be for any. */
  readonly isOwnHost: ((host: string) => boolean) | undefined;
}

/**
 * Reads the tokens, if there are any, and says in the log, whatever its level, when everyone may do everything.
 *
 * @throws TokensFileError when the file cannot be read or is not as it should be.
 */
export async function openAccess(
  { host, access, tls }: Config,
  logger: AuditLogger,
  now: () => number,
): Promise<Access> {
  const tokens =
    access.tokensFile === undefined ? undefined : await TokensFile.open({ path: access.tokensFile, logger });
  const safety = { host, hasTokens: tokens !== undefined, allowAnonymous: access.allowAnonymous };
  if (isOpenToAll(safety)) {
    logger.audit("no tokens configured: anyone who can reach the service can read, remove and export", { host });
  }
  const rates = { perSecond: access.requestsPerSecond, burst: access.burst };
  return {
    guard: new AccessGuard({
      tokens,
      limiter: new RateLimiter(rates),
      strangers: new RateLimiter(toStrangersRates(rates)),
      now,
    }),
    isOwnHost: ownHosts(safety, tls.certFile !== undefined),
    async [Symbol.asyncDispose]() {
      tokens?.[Symbol.dispose]();
    },
  };
}
