import { BlockList, isIP } from "node:net";

/** The settings that decide whether listening is safe. */
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
 * Why the service must not listen with these settings: anyone on the network could read, remove and export. Undefined
 * when it is safe.
 */
export function findListenFault(safety: ListenSafety): string | undefined {
  return isOpenToAll(safety) && !safety.allowAnonymous
    ? `HOST: ${safety.host} is beyond loopback and no tokens are configured: anyone who can reach the service can read, ` +
        "remove and export; set AUTH_TOKENS_FILE, or ALLOW_ANONYMOUS=true if that is what you want"
    : undefined;
}

/** Whether anyone who can reach the host may do everything. Logged at start. */
export function isOpenToAll({ host, hasTokens }: ListenSafety): boolean {
  return !hasTokens && !isLoopback(host);
}

/**
 * Creates a check of whether a request's host is allowed; undefined when every host is. Only loopback names are allowed
 * when callers need no tokens and ALLOW_ANONYMOUS is off: this prevents DNS rebinding. With TLS every host is allowed,
 * because the certificate identifies the service.
 */
export function createHostCheck(
  { hasTokens, allowAnonymous }: ListenSafety,
  hasTls: boolean,
): ((host: string) => boolean) | undefined {
  return hasTokens || allowAnonymous || hasTls ? undefined : isLoopbackName;
}

/** Names under `localhost` count too, because no DNS server is asked for them. */
function isLoopbackName(host: string): boolean {
  return isLoopback(host) || host.endsWith(".localhost");
}

function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host.toLowerCase() === "localhost" : loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}
