/** A Lookup that was answered, or a Remove that was acknowledged. Times are from a clock that all processes share. */
export interface Step {
  readonly kind: "lookup" | "remove";
  readonly process: string;
  readonly vin: string;
  readonly begunAt: number;
  readonly endedAt: number;
  /** The answer of a Lookup. */
  readonly answer?: {
    readonly cached: boolean;
    /** The process that decoded the VIN. */
    readonly process: string;
    readonly decodeBegunAt: number;
  };
}

/**
 * Replays a history on a model of the cache, and returns the answers that the model cannot give: cached answers to
 * Lookups that began after the acknowledgement of a Remove, from a decode that began before the Remove.
 */
export function violationsOf(history: readonly Step[]): string[] {
  const violations: string[] = [];
  /** The earliest beginning that a cached decode may have, by VIN. */
  const removedAt = new Map<string, number>();
  for (const { kind, process: name, vin, begunAt, answer } of history.toSorted((a, b) => momentOf(a) - momentOf(b))) {
    const earliest = removedAt.get(vin) ?? 0;
    if (kind === "remove") {
      removedAt.set(vin, Math.max(earliest, begunAt));
    } else if (answer?.cached === true && !(answer.decodeBegunAt >= earliest)) {
      violations.push(`${name} answered a removed decode of ${answer.process} for ${vin}`);
    }
  }
  return violations;
}

/** The number of cached answers that another process decoded. */
export function answersOfOthers(history: readonly Step[]): number {
  return history.filter((step) => step.answer?.cached === true && step.answer.process !== step.process).length;
}

/** The number of Removes that began during a decode of the same VIN. */
export function removesDuringDecodes(history: readonly Step[]): number {
  const decodes = history.filter(({ answer }) => answer?.cached === false);
  return history.filter(
    ({ kind, vin, begunAt }) =>
      kind === "remove" &&
      decodes.some(
        (decode) => decode.vin === vin && Number(decode.answer?.decodeBegunAt) < begunAt && begunAt < decode.endedAt,
      ),
  ).length;
}

/** A Lookup may see the cache as it was at any time since its beginning. A Remove counts from its end. */
function momentOf({ kind, begunAt, endedAt }: Step): number {
  return kind === "remove" ? endedAt : begunAt;
}
