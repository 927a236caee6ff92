import { SocketAddress, isIP } from "node:net";

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const GROUPS = 8;

/**
 * An address in the spelling under which limits are kept: IPv4 as it is, also when mapped into IPv6; IPv6 as its /64,
 * since whoever has one address of it has them all. What is no address is left as it is.
 */
export function toCallerAddress(address: string): string {
  const [plain = ""] = address.split("%");
  if (isIP(plain) !== 6) {
    return plain;
  }
  // How a socket of a listener on `::` spells IPv4, and so most callers: not worth the dear way below.
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
