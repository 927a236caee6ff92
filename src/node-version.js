// Any Node must be able to parse this file, so that an old one can report that it is too old.

/** The first release of each line without the vulnerabilities of March 2026, in TLS, HTTP/2 and V8. */
const FIXED_RELEASES = ["24.14.1", "25.8.2"];

/**
 * What is wrong with this Node for the service, in one line; undefined when nothing is.
 *
 * @param {string} version such as `24.14.1`
 * @returns {string | undefined}
 */
export function nodeFault(version) {
  const [major = 0, minor = 0, patch = 0] = parse(version);
  const sameLine = FIXED_RELEASES.find((release) => parse(release)[0] === major);
  if (sameLine !== undefined) {
    const [, fixedMinor = 0, fixedPatch = 0] = parse(sameLine);
    const isFixed = minor > fixedMinor || (minor === fixedMinor && patch >= fixedPatch);
    return isFixed ? undefined : `Node ${version} has known vulnerabilities; use Node ${sameLine} or later`;
  }
  const [oldest = ""] = FIXED_RELEASES;
  const [oldestMajor = 0] = parse(oldest);
  return major > oldestMajor ? undefined : `Node ${version} is too old for the service; use Node ${oldest} or later`;
}

/** @param {string} version */
function parse(version) {
  return version.split(".").map((part) => Number.parseInt(part, 10));
}
