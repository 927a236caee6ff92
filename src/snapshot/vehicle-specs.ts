/**
 * Further values by make, model, vehicle type and year, in columns. Rows are identified by their index. Where rows of
 * one table belong to a row of another, those of row i begin at `start[i]` and end before `start[i + 1]`. A pattern's
 * values apply to a vehicle that has all its keys.
 */
export interface SpecColumns {
  /** The schemas of each model, by the model's id. */
  readonly modelStart: Uint32Array;
  readonly modelSchema: Uint32Array;
  readonly schemas: {
    readonly makeId: Uint32Array;
    readonly vehicleTypeId: Uint8Array;
    /** A schema without years applies to every year. */
    readonly yearStart: Uint32Array;
    readonly year: Uint16Array;
    readonly patternStart: Uint32Array;
  };
  /** Ordered by schema, then by id. */
  readonly patterns: {
    readonly id: Uint32Array;
    readonly keyStart: Uint32Array;
    readonly keyAttribute: Uint32Array;
    readonly valueStart: Uint32Array;
    readonly valueAttribute: Uint32Array;
    readonly valueChangedOn: Float64Array;
  };
}

/** The properties of a vehicle that decide which schemas apply. */
export interface SpecSubject {
  readonly modelId: number;
  /** The makes of the WMI. */
  readonly makeIds: readonly number[];
  readonly vehicleTypeId: number;
  readonly year: number | undefined;
}

/** A value that a pattern of a schema gives. */
export interface SpecValue {
  /** An index of the attributes. */
  readonly attribute: number;
  readonly changedOn: number;
  /** The id of the pattern. */
  readonly patternId: number;
}

/**
 * All values for a vehicle.
 *
 * @param hasAttribute whether the vehicle is known to have this value.
 */
export function findSpecs(
  columns: SpecColumns,
  subject: SpecSubject,
  hasAttribute: (attribute: number) => boolean,
): SpecValue[] {
  const { modelStart, modelSchema, schemas, patterns } = columns;
  const found: SpecValue[] = [];
  for (const schema of slice(modelSchema, modelStart, subject.modelId)) {
    if (!applies(schemas, schema, subject)) {
      continue;
    }
    const end = schemas.patternStart[schema + 1] ?? 0;
    for (let pattern = schemas.patternStart[schema] ?? 0; pattern < end; pattern++) {
      const keys = slice(patterns.keyAttribute, patterns.keyStart, pattern);
      if (keys.length > 0 && keys.every(hasAttribute)) {
        const last = patterns.valueStart[pattern + 1] ?? 0;
        for (let value = patterns.valueStart[pattern] ?? 0; value < last; value++) {
          found.push({
            attribute: patterns.valueAttribute[value] ?? 0,
            changedOn: patterns.valueChangedOn[value] ?? 0,
            patternId: patterns.id[pattern] ?? 0,
          });
        }
      }
    }
  }
  return found;
}

/** Whether the first value wins over the second. NHTSA does not define which of equally new ones wins. */
export function isNewerSpec(a: SpecValue, b: SpecValue): boolean {
  return a.changedOn > b.changedOn || (a.changedOn === b.changedOn && a.patternId > b.patternId);
}

function applies(schemas: SpecColumns["schemas"], schema: number, subject: SpecSubject): boolean {
  const years = slice(schemas.year, schemas.yearStart, schema);
  return (
    schemas.vehicleTypeId[schema] === subject.vehicleTypeId &&
    subject.makeIds.includes(schemas.makeId[schema] ?? 0) &&
    (years.length === 0 || (subject.year !== undefined && years.includes(subject.year)))
  );
}

/** The rows of one owner. */
function slice(column: Uint16Array | Uint32Array, start: Uint32Array, owner: number): number[] {
  return Array.from(column.subarray(start[owner] ?? 0, start[owner + 1] ?? 0));
}
