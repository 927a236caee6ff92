/** From `start` to before `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const SINGLE_RANGE = /^bytes=(\d*)-(\d*)$/;

/**
 * Reads a `Range` header (RFC 9110, 14.2).
 *
 * @returns the range, cut to the file; `unsatisfiable` when it begins behind the end; `whole` for what may be ignored:
 *   several ranges, other units and what is no range.
 */
export function parseRange(header: string, sizeBytes: number): ByteRange | "unsatisfiable" | "whole" {
  const [, first = "", last = ""] = SINGLE_RANGE.exec(header.trim()) ?? [];
  if (first === "") {
    return last === "" ? "whole" : parseSuffix(Number(last), sizeBytes);
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== "" && Number(last) < start) {
    return "whole";
  }
  return start < sizeBytes ? { start, end } : "unsatisfiable";
}

function parseSuffix(lengthBytes: number, sizeBytes: number): ByteRange | "unsatisfiable" {
  return lengthBytes > 0 ? { start: Math.max(0, sizeBytes - lengthBytes), end: sizeBytes } : "unsatisfiable";
}
