import { isIP } from "node:net";

/**
 * Reads the address of the vPIC API, such as `https://vpic.nhtsa.dot.gov/api`.
 *
 * @returns the address without a final slash.
 * @throws Error that says what is wrong with it. Plain http is for loopback only: what anybody on the way can rewrite
 *   would end up in the cache as a vehicle.
 */
export function parseVpicUrl(text: string): string {
  const url = URL.parse(text.trim());
  if (url === null) {
    throw new Error("expected a URL such as https://vpic.nhtsa.dot.gov/api");
  }
  // An @ in the path is what a password with an unescaped slash leaves there.
  if (url.username !== "" || url.password !== "" || url.pathname.includes("@")) {
    throw new Error("must not contain a user name or password");
  }
  if (url.search !== "" || url.hash !== "") {
    throw new Error("must not contain a query or a fragment");
  }
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
    throw new Error("must be https (plain http is allowed for loopback only)");
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || (isIP(hostname) === 4 && hostname.startsWith("127."));
}
