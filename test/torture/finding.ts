/** Something counted or measured in an attack. */
export interface Figure {
  /** With its bound, such as `probe p99 ms 12 (<= 500)`. */
  readonly text: string;
  readonly isGood: boolean;
  /** Whether it depends on the machine, like times, memory and throughput. Tests ignore it then. */
  readonly isMeasured: boolean;
}

/** The result of one attack. */
export interface Finding {
  readonly what: string;
  readonly figures: readonly Figure[];
}

/** A count that is the same on every machine, and must be zero. */
export function none(name: string, count: number): Figure {
  return { text: `${name} ${count} (= 0)`, isGood: count === 0, isMeasured: false };
}

/** A count that must be this large on every machine. */
export function atLeast(name: string, count: number, limit: number): Figure {
  return { text: `${name} ${count} (>= ${limit})`, isGood: count >= limit, isMeasured: false };
}

/** A figure that only a quiet machine can measure. Default: it is only shown. */
export function measured(name: string, value: number, atMost = Infinity): Figure {
  const shown = value.toFixed(Number.isInteger(value) || value >= 10 ? 0 : 2);
  const bound = atMost === Infinity ? "" : ` (<= ${atMost})`;
  return { text: `${name} ${shown}${bound}`, isGood: value <= atMost, isMeasured: true };
}
