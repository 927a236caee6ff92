import { isIP } from "node:net";

/** Parses the text of a variable. @throws Error that says what is expected, without the text. */
export type ValueParser<T> = (text: string) => T;

/** Returns the value of a variable, from its text or its default. */
export type VariableReader = <T>(name: string, defaultText: string, parse: ValueParser<T>) => T;

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const HOST_NAME = /^(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*$/i;
const LARGEST_PORT = 65_535;

/** A duration such as `30d`, `1.5h`, `5m`, `2s` or `100ms`, in ms. */
export function parseDuration(text: string): number {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  const unitMs = UNITS_MS[unit ?? ""];
  if (amount === undefined || unitMs === undefined) {
    throw new Error("expected a number with a unit (ms, s, m, h or d), such as 30d or 1.5s");
  }
  return Number(amount) * unitMs;
}

/** A TCP port; 0 picks a free one. */
export function parsePort(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= LARGEST_PORT)) {
    throw new Error(`expected a port from 0 to ${LARGEST_PORT}, where 0 picks a free one`);
  }
  return port;
}

/** An IP address or host name to listen on. */
export function parseHost(text: string): string {
  if (isIP(text) === 0 && !HOST_NAME.test(text)) {
    throw new Error("expected an IP address or a host name, such as 127.0.0.1, 0.0.0.0 or ::1");
  }
  return text;
}

/** A number greater than 0. */
export function parsePositiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) {
    throw new Error("expected a number greater than 0");
  }
  return value;
}

/** A number from 0 to 1. */
export function parseShare(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 1)) {
    throw new Error("expected a number from 0 to 1");
  }
  return value;
}

/** A whole number greater than 0. */
export function parseCount(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value > 0)) {
    throw new Error("expected a whole number greater than 0");
  }
  return value;
}

/** A whole number greater than 0; `unlimited` is Infinity. */
export function parseLimit(text: string): number {
  if (text === "unlimited") {
    return Infinity;
  }
  try {
    return parseCount(text);
  } catch {
    throw new Error("expected a whole number greater than 0, or unlimited");
  }
}

/** Parses one of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): ValueParser<T> {
  return (text) => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) {
      throw new Error(`expected one of ${words.join(", ")}`);
    }
    return word;
  };
}

/** Parses a comma-separated list of at least one word, each at most once. */
export function listOf<const T extends string>(words: readonly T[]): ValueParser<readonly T[]> {
  return (text) => {
    const found = text.split(",").map((word) => word.trim());
    const list = found.flatMap((word) => words.filter((candidate) => candidate === word));
    if (list.length < found.length || new Set(list).size < list.length) {
      throw new Error(`expected a list of ${words.join(", ")}, separated by commas, each at most once`);
    }
    return list;
  };
}
