/** Something measured, with what it may be. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

/** What is attacked: the gRPC port, or the HTTP port as HTTP/1.1 or, under TLS, as HTTP/2. */
export type Listener = "gRPC" | "HTTP" | "HTTP/2";

/** What came of one attack. */
export interface Finding {
  readonly listener: Listener | "both";
  readonly what: string;
  readonly figures: readonly Figure[];
}

/** How hard to try: the full figures, or what fits into a few seconds. */
export type Scale = "short" | "full";

/** One row of the table of faults and attacks. */
export interface Row {
  readonly number: number;
  readonly title: string;
  /** Whether it is tried in `npm test`, too. Default: it is. */
  readonly hasShortForm?: boolean;
  run(scale: Scale): Promise<readonly Finding[]>;
}

/** What is wrong with a finding, in words; empty when it passes. */
export function faultsOf({ figures }: Finding): string[] {
  return figures.filter((figure) => !isWithin(figure)).map(describe);
}

/** A figure with its limits, such as `probe ms 12 (<= 100)`. */
export function describe({ name, value, atLeast, atMost }: Figure): string {
  const limits = [atLeast === undefined ? "" : `>= ${show(atLeast)}`, atMost === undefined ? "" : `<= ${show(atMost)}`];
  const limit = limits.filter((text) => text !== "").join(", ");
  return `${name} ${show(value)}${limit === "" ? "" : ` (${limit})`}`;
}

function isWithin({ value, atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: Figure): boolean {
  return value >= atLeast && value <= atMost && !(value === Number.POSITIVE_INFINITY && atMost === value);
}

function show(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 0);
}
