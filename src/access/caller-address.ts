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
  const { address: canonical } = new SocketAddress({ address: plain, family: "ipv6" });
  const [, mapped] = MAPPED_IPV4.exec(canonical) ?? [];
  return mapped ?? `${networkOf(canonical)}::/64`;
}

/** The first four groups, without leading zeros. */
function networkOf(canonical: string): string {
  const [head = "", tail] = canonical.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: GROUPS - before.length - after.length }, () => "0");
  return [...before, ...zeros, ...after].slice(0, GROUPS / 2).join(":");
}
