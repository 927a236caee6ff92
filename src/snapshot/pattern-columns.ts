import type { SnapshotContent } from "./snapshot-content.ts";

/** Patterns in any order. */
export interface PatternRows {
  readonly count: number;
  /** Columns may be longer than `count`. Those of schemas and keys have indexes. */
  readonly schema: Uint32Array;
  readonly key: Uint32Array;
  readonly attribute: Uint32Array;
  readonly changedOn: Float64Array;
  readonly id: Uint32Array;
}

/** Columns for at most so many rows. */
export function createPatternRows(size: number): Omit<PatternRows, "count"> {
  return {
    schema: new Uint32Array(size),
    key: new Uint32Array(size),
    attribute: new Uint32Array(size),
    changedOn: new Float64Array(size),
    id: new Uint32Array(size),
  };
}

/**
 * Groups patterns by schema, and within a schema by keys. Takes the patterns of some schemas at a time, so that only
 * their rows need to be in memory besides the result.
 */
export class PatternColumns {
  readonly #schemaCount: number;
  readonly #groupStart: Uint32Array;
  readonly #groups: { readonly key: Uint32Array; readonly patternStart: Uint32Array };
  readonly #patterns: SnapshotContent["patterns"];
  #schemas = 0;
  #groupCount = 0;
  #count = 0;

  /** @param size the number of patterns, at most. Memory is used only for those that there are. */
  constructor(schemaCount: number, size: number) {
    this.#schemaCount = schemaCount;
    this.#groupStart = new Uint32Array(schemaCount + 1);
    this.#groups = { key: new Uint32Array(size), patternStart: new Uint32Array(size + 1) };
    this.#patterns = {
      attribute: new Uint32Array(size),
      changedOn: new Float64Array(size),
      id: new Uint32Array(size),
    };
  }

  /** Adds all patterns of the schemas from those taken so far to before `schemaEnd`. */
  take(rows: PatternRows, schemaEnd: number): void {
    const { starts, order } = sortBySchemaAndKey(rows, this.#schemaCount);
    for (; this.#schemas < schemaEnd; this.#schemas++) {
      this.#groupStart[this.#schemas] = this.#groupCount;
      this.#addSchema(rows, order.subarray(starts[this.#schemas], starts[this.#schemas + 1]));
    }
  }

  collected(): Pick<SnapshotContent, "schemas" | "groups" | "patterns"> {
    this.#groupStart[this.#schemaCount] = this.#groupCount;
    this.#groups.patternStart[this.#groupCount] = this.#count;
    const { attribute, changedOn, id } = this.#patterns;
    return {
      schemas: { groupStart: this.#groupStart },
      groups: {
        key: this.#groups.key.subarray(0, this.#groupCount),
        patternStart: this.#groups.patternStart.subarray(0, this.#groupCount + 1),
      },
      patterns: {
        attribute: attribute.subarray(0, this.#count),
        changedOn: changedOn.subarray(0, this.#count),
        id: id.subarray(0, this.#count),
      },
    };
  }

  #addSchema(rows: PatternRows, order: Float64Array): void {
    let lastKey = -1;
    for (const place of order) {
      const row = place % rows.count;
      const key = (place - row) / rows.count;
      if (key !== lastKey) {
        this.#groups.key[this.#groupCount] = key;
        this.#groups.patternStart[this.#groupCount] = this.#count;
        this.#groupCount++;
        lastKey = key;
      }
      this.#patterns.attribute[this.#count] = rows.attribute[row] ?? 0;
      this.#patterns.changedOn[this.#count] = rows.changedOn[row] ?? 0;
      this.#patterns.id[this.#count] = rows.id[row] ?? 0;
      this.#count++;
    }
  }
}

/**
 * The order of rows by schema, key and place: each number is a key times the number of rows, plus a row. Those of
 * schema i are from `starts[i]` to before `starts[i + 1]`.
 */
function sortBySchemaAndKey(
  { count, schema, key }: PatternRows,
  schemaCount: number,
): { starts: Uint32Array; order: Float64Array } {
  const starts = new Uint32Array(schemaCount + 1);
  for (let row = 0; row < count; row++) {
    const next = (schema[row] ?? 0) + 1;
    starts[next] = (starts[next] ?? 0) + 1;
  }
  for (let place = 1; place <= schemaCount; place++) {
    starts[place] = (starts[place] ?? 0) + (starts[place - 1] ?? 0);
  }
  const order = new Float64Array(count);
  const nextOf = starts.slice();
  for (let row = 0; row < count; row++) {
    const place = schema[row] ?? 0;
    const next = nextOf[place] ?? 0;
    // One sortable number for each row: numbers sort many times faster than objects.
    order[next] = (key[row] ?? 0) * count + row;
    nextOf[place] = next + 1;
  }
  for (let place = 0; place < schemaCount; place++) {
    order.subarray(starts[place], starts[place + 1]).sort();
  }
  return { starts, order };
}
