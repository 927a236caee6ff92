import type { AuditLogger } from "../telemetry/logger.ts";
import { AccessGuard, toAnonymousRates } from "./access-guard.ts";
import type { ChargeExchange } from "./charge-exchange.ts";
import { shareCharges } from "./charge-exchange.ts";
import { isOpenToAll, createHostCheck } from "./listen-safety.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { TokensFile } from "./tokens-file.ts";

export interface AccessOptions {
  /** An address or a host name, as in HOST. */
  readonly host: string;
  /** Without it, no caller needs a token. */
  readonly tokensFile: string | undefined;
  /** Whether a service without tokens may be reached from beyond loopback. */
  readonly allowAnonymous: boolean;
  readonly hasTls: boolean;
  /** The rate of a caller with a token. */
  readonly requestsPerSecond: number;
  readonly burst: number;
  /** The other processes of the service; undefined when it is one process. */
  readonly exchange?: ChargeExchange | undefined;
  readonly logger: AuditLogger;
  /** The time in ms since the epoch. */
  readonly now: () => number;
}

/** Decides who may call, and how often. Disposing of it stops watching the tokens file. */
export interface Access extends Disposable {
  readonly guard: AccessGuard;
  /** Whether HTTP requests for this host are allowed; undefined when all hosts are. */
  readonly isOwnHost: ((host: string) => boolean) | undefined;
  /** The tokens in use, for metrics; undefined without a tokens file. */
  readonly tokens: Pick<TokensFile, "book" | "isFaulty"> | undefined;
}

/**
 * Reads the tokens, if there are any. Logs, at every log level, when anyone may do everything.
 *
 * @throws TokensFileError when the file cannot be read or is malformed.
 */
export async function openAccess(options: AccessOptions): Promise<Access> {
  const { host, tokensFile, allowAnonymous, hasTls, requestsPerSecond, burst, exchange, logger, now } = options;
  const tokens = tokensFile === undefined ? undefined : await TokensFile.open({ path: tokensFile, logger });
  const safety = { host, hasTokens: tokens !== undefined, allowAnonymous };
  if (isOpenToAll(safety)) {
    logger.audit("no tokens configured: anyone who can reach the service can read, remove and export", { host });
  }
  const rates = { perSecond: requestsPerSecond, burst };
  const isShared = exchange !== undefined;
  const limiter = new RateLimiter({ ...rates, isShared });
  const anonymous = new RateLimiter({ ...toAnonymousRates(rates), isShared });
  using stack = new DisposableStack();
  stack.use(tokens);
  if (isShared) {
    stack.use(shareCharges({ limiter, anonymous }, exchange));
  }
  const running = stack.move();
  return {
    guard: new AccessGuard({ tokens, limiter, anonymous, now }),
    isOwnHost: createHostCheck(safety, hasTls),
    tokens,
    [Symbol.dispose]: () => running[Symbol.dispose](),
  };
}
