/** Something counted or measured, with what it may be. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** Whether it depends on the machine, as times, memory and throughput do: tests leave it out. */
  readonly isMeasured?: true;
}

interface Bounds {
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** What came of one attack. */
export interface Finding {
  readonly what: string;
  readonly figures: readonly Figure[];
}

/** What happened, on whatever machine. */
export function counted(name: string, value: number, bounds: Bounds): Figure {
  return { name, value, ...bounds };
}

/** What must be just so. */
export function exactly(name: string, value: number, expected: number): Figure {
  return counted(name, value, { atLeast: expected, atMost: expected });
}

/** What only a quiet machine can show. */
export function measured(name: string, value: number, bounds: Bounds = {}): Figure {
  return { name, value, ...bounds, isMeasured: true };
}

/** The figures that are out of bounds, in words; empty when the finding passes. */
export function faultsOf({ figures }: Finding): string[] {
  return figures.filter((figure) => !isWithin(figure)).map(describe);
}

/** The same without what depends on the machine; each with what was tried. */
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
