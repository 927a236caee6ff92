/** One value of one variable found while decoding, or a candidate for it. */
export interface Item {
  readonly elementId: number;
  /** The value as the data has it: a text, a number, or the id of a row in the variable's look-up table. */
  readonly attributeId: string;
  /** The value where it is known without the look-up table. */
  readonly value?: string | undefined;
  /** Whether a pattern of the VIN's own gave it; items taken from the WMI or the year say nothing of this vehicle. */
  readonly isFromPattern: boolean;
  /** Whether it may differ from what NHTSA computes, since it was computed from a number that may be rounded. */
  readonly isInexact?: boolean;
  /** Whether it counts among the patterns when two passes are compared; conversions do not. */
  readonly isCountedPattern: boolean;
  /** The higher wins. */
  readonly priority: number;
  /** When the data was last changed, in a form that sorts; the newer wins. */
  readonly changedOn: string;
  /** The pattern, `*` for any character. */
  readonly keys: string;
}
