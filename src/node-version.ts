/** Earlier ones have known holes in HTTP/2 and V8. */
const LEAST = [24, 14, 1] as const;

/**
 * What is wrong with the Node that runs this, in one line; undefined when nothing is.
 *
 * @param version such as `24.14.1`
 */
export function nodeFault(version: string): string | undefined {
  const parts = version.split(".").map((part) => Number.parseInt(part, 10));
  const differing = LEAST.findIndex((least, index) => parts[index] !== least);
  const isOld = differing !== -1 && (parts[differing] ?? 0) < (LEAST[differing] ?? 0);
  return isOld
    ? `Node ${version} is too old for a service on a network: ${LEAST.join(".")} or later is needed`
    : undefined;
}
