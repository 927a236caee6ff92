/** The first release of each line in which the holes of March 2026 are closed, in TLS, HTTP/2 and V8. */
const MENDED = [
  [24, 14, 1],
  [25, 8, 2],
] as const;

/**
 * What is wrong with the Node that runs this, in one line; undefined when nothing is.
 *
 * @param version such as `24.14.1`
 */
export function nodeFault(version: string): string | undefined {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const [oldest] = MENDED;
  const [, leastMinor, leastPatch] = MENDED.find(([line]) => line === major) ?? [major, 0, 0];
  if (major >= oldest[0] && (minor > leastMinor || (minor === leastMinor && patch >= leastPatch))) {
    return undefined;
  }
  const needed = MENDED.map((release) => release.join(".")).join(" or ");
  return `Node ${version} has known holes, which a service on a network must not have: ${needed} or later is needed`;
}
