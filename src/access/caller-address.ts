import { SocketAddress, isIP } from "node:net";

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const GROUPS = 8;

/**
 * The form of an address that limits use as their key. IPv4, including IPv4 mapped into IPv6, stays as it is. IPv6
 * becomes its /64, since a client with one address of a /64 usually has all of them. Any other text stays unchanged.
 */
export function toCallerAddress(address: string): string {
  const [plain = ""] = address.split("%");
  if (isIP(plain) !== 6) {
    return plain;
  }
  // Sockets of a listener on `::` report IPv4 like this. Most callers come this way, so skip the slow parsing below.
  const ipv4 = ipv4Of(plain);
  if (ipv4 !== undefined) {
    return ipv4;
  }
  const { address: canonical } = new SocketAddress({ address: plain, family: "ipv6" });
  return ipv4Of(canonical) ?? `${networkOf(canonical)}::/64`;
}

function ipv4Of(ipv6: string): string | undefined {
  return MAPPED_IPV4.exec(ipv6)?.[1];
}

/** The first four groups, without leading zeros. */
function networkOf(canonical: string): string {
  const [head = "", tail] = canonical.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: GROUPS - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].slice(0, GROUPS / 2).join(":");
}
