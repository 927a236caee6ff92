/** Something counted or measured, with its bounds. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Whether it depends on the machine, like times, memory and throughput. Tests ignore it then. */
  readonly isMeasured?: true;
}

interface Bounds {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** The result of one attack. */
export interface Finding {
  readonly what: string;
  readonly figures: readonly Figure[];
}

/** A figure that is the same on every machine, without bounds. */
export function counted(name: string, value: number, bounds: Bounds): Figure {
  return { name, value, ...bounds };
}

/** A figure with exactly one allowed value. */
export function exactly(name: string, value: number, expected: number): Figure {
  return counted(name, value, { atLeast: expected, atMost: expected });
}

/** A figure that only a quiet machine can measure. */
export function measured(name: string, value: number, bounds: Bounds = {}): Figure {
  return { name, value, ...bounds, isMeasured: true };
}

/** The figures that are out of bounds, as text; empty when the finding passes. */
export function faultsOf({ figures }: Finding): string[] {
  return figures.filter((figure) => !isWithin(figure)).map(describe);
}

/** The same, without figures that depend on the machine. Each has the name of the attack. */
export function countedFaultsOf({ what, figures }: Finding): string[] {
  const counts = figures.filter(({ isMeasured }) => isMeasured !== true);
  return faultsOf({ what, figures: counts }).map((fault) => `${what}: ${fault}`);
}

/** A figure with its bounds, such as `probe p99 ms 12 (<= 500)`. */
export function describe({ name, value, atLeast, atMost }: Figure): string {
  const bounds =
    atLeast !== undefined && atLeast === atMost
      ? [`= ${show(atLeast)}`]
      : [
          ...(atLeast === undefined ? [] : [`>= ${show(atLeast)}`]),
          ...(atMost === undefined ? [] : [`<= ${show(atMost)}`]),
        ];
  return `${name} ${show(value)}${bounds.length === 0 ? "" : ` (${bounds.join(", ")})`}`;
}

function isWithin({ value, atLeast = -Infinity, atMost = Infinity }: Figure): boolean {
  return Number.isFinite(value) && value >= atLeast && value <= atMost;
}

function show(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 0);
}
