import { BlockList, isIP } from "node:net";

/** What decides whether listening is safe. */
export interface ListenSafety {
  /** An address or a host name, as in HOST. */
  readonly host: string;
  /** Whether AUTH_TOKENS_FILE is set. */
  readonly hasTokens: boolean;
  readonly allowAnonymous: boolean;
}

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * Why the service must not listen like that: everyone in the network could read, remove and export. Undefined when it
 * may.
 */
export function findListenFault(safety: ListenSafety): string | undefined {
  return isOpenToAll(safety) && !safety.allowAnonymous
    ? `HOST: ${safety.host} is beyond loopback and no tokens are configured: anyone who can reach the service can read, ` +
        "remove and export; set AUTH_TOKENS_FILE, or ALLOW_ANONYMOUS=true if that is what you want"
    : undefined;
}

/** Whether everyone who reaches the host may do everything: to be said in the log at start. */
export function isOpenToAll({ host, hasTokens }: ListenSafety): boolean {
  return !hasTokens && !isLoopback(host);
}

/**
 * Which hosts requests may be for, as {@link ListenSafety} has it: those of loopback, when its callers need no tokens
 * and nobody else is wanted. Undefined means all; with TLS the certificate tells callers whom they speak to.
 */
export function ownHosts(
  { hasTokens, allowAnonymous }: ListenSafety,
  hasTls: boolean,
): ((host: string) => boolean) | undefined {
  return hasTokens || allowAnonymous || hasTls ? undefined : isLoopbackName;
}

/** No DNS server but one's own can be asked for names under `localhost`. */
function isLoopbackName(host: string): boolean {
  return isLoopback(host) || host.endsWith(".localhost");
}

function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host.toLowerCase() === "localhost" : loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}
