/** A record: when the pattern was changed (a double), its attribute and its id (32-bit integers). */
export const RECORD_BYTES = 16;
const DOUBLES_PER_RECORD = RECORD_BYTES / Float64Array.BYTES_PER_ELEMENT;
const WORDS_PER_RECORD = RECORD_BYTES / Uint32Array.BYTES_PER_ELEMENT;
const ATTRIBUTE = 2;
const ID = 3;

/** Which patterns belong to which schema. */
export interface PatternGroups {
  /** The groups of each schema. */
  readonly schemas: {
    readonly groupStart: Uint32Array;
  };
  /** Patterns of a schema with the same keys. */
  readonly groups: {
    readonly key: Uint32Array;
    readonly patternStart: Uint32Array;
  };
}

/** All patterns, group by group. */
export class PatternRecords {
  readonly length: number;
  readonly #doubles: Float64Array;
  readonly #words: Uint32Array;

  /** @param offset where the records begin, a multiple of eight. */
  constructor(buffer: ArrayBuffer, offset: number, length: number) {
    this.length = length;
    this.#doubles = new Float64Array(buffer, offset, length * DOUBLES_PER_RECORD);
    this.#words = new Uint32Array(buffer, offset, length * WORDS_PER_RECORD);
  }

  changedOn(place: number): number {
    return this.#doubles[place * DOUBLES_PER_RECORD] ?? 0;
  }

  attribute(place: number): number {
    return this.#words[place * WORDS_PER_RECORD + ATTRIBUTE] ?? 0;
  }

  id(place: number): number {
    return this.#words[place * WORDS_PER_RECORD + ID] ?? 0;
  }
}

/** Patterns in any order, in columns. */
export class PatternRows {
  /** The number of patterns; the columns may be longer. */
  count = 0;
  /** The indexes of schemas and keys. */
  readonly schema: Uint32Array;
  readonly key: Uint32Array;
  readonly attribute: Uint32Array;
  readonly changedOn: Float64Array;
  readonly id: Uint32Array;

  constructor(size: number) {
    this.schema = new Uint32Array(size);
    this.key = new Uint32Array(size);
    this.attribute = new Uint32Array(size);
    this.changedOn = new Float64Array(size);
    this.id = new Uint32Array(size);
  }
}

/**
 * Groups patterns by schema, and within a schema by keys. Takes the patterns of some schemas at a time and passes their
 * records on, so that no others are in memory.
 */
export class PatternGrouper {
  readonly #add: (records: Uint8Array) => void;
  readonly #doubles: Float64Array;
  readonly #words: Uint32Array;
  /** Where the rows of each schema begin. */
  readonly #starts: Uint32Array;
  readonly #order: Float64Array;
  readonly #groupStart: Uint32Array;
  readonly #keys: Uint32Array;
  readonly #patternStart: Uint32Array;
  #schemas = 0;
  #groups = 0;
  #count = 0;

  /**
   * @param size maximum number of patterns.
   * @param sizeAtOnce maximum number of patterns in one call of {@link take}.
   * @param add called with the records. They are valid only during the call.
   */
  constructor(schemaCount: number, size: number, sizeAtOnce: number, add: (records: Uint8Array) => void) {
    this.#add = add;
    this.#doubles = new Float64Array(sizeAtOnce * DOUBLES_PER_RECORD);
    this.#words = new Uint32Array(this.#doubles.buffer);
    this.#order = new Float64Array(sizeAtOnce);
    this.#starts = new Uint32Array(schemaCount + 1);
    this.#groupStart = new Uint32Array(schemaCount + 1);
    // The system provides memory only for the parts that are written, so the unused ends cost nothing.
    this.#keys = new Uint32Array(size);
    this.#patternStart = new Uint32Array(size + 1);
  }

  /** Takes all patterns of the next schemas, up to but not including `schemaEnd`. */
  take(rows: PatternRows, schemaEnd: number): void {
    this.#sort(rows);
    let record = 0;
    for (; this.#schemas < schemaEnd; this.#schemas++) {
      this.#groupStart[this.#schemas] = this.#groups;
      const end = this.#starts[this.#schemas] ?? 0;
      let lastKey = -1;
      for (; record < end; record++) {
        const sorted = this.#order[record] ?? 0;
        const row = sorted % rows.count;
        const key = (sorted - row) / rows.count;
        if (key !== lastKey) {
          this.#keys[this.#groups] = key;
          this.#patternStart[this.#groups] = this.#count + record;
          this.#groups++;
          lastKey = key;
        }
        this.#doubles[record * DOUBLES_PER_RECORD] = rows.changedOn[row] ?? 0;
        this.#words[record * WORDS_PER_RECORD + ATTRIBUTE] = rows.attribute[row] ?? 0;
        this.#words[record * WORDS_PER_RECORD + ID] = rows.id[row] ?? 0;
      }
    }
    this.#count += record;
    this.#add(new Uint8Array(this.#doubles.buffer, 0, record * RECORD_BYTES));
  }

  collected(): PatternGroups {
    this.#groupStart[this.#schemas] = this.#groups;
    this.#patternStart[this.#groups] = this.#count;
    return {
      schemas: { groupStart: this.#groupStart },
      groups: {
        key: this.#keys.subarray(0, this.#groups),
        patternStart: this.#patternStart.subarray(0, this.#groups + 1),
      },
    };
  }

  /**
   * Sorts rows by schema, key and index. A row is sorted as one number: its key times the number of rows, plus its
   * index. Afterwards, the rows of schema i end before `starts[i]`.
   */
  #sort({ count, schema, key }: PatternRows): void {
    const ends = this.#starts.fill(0);
    for (let row = 0; row < count; row++) {
      const next = (schema[row] ?? 0) + 1;
      ends[next] = (ends[next] ?? 0) + 1;
    }
    for (let place = 1; place < ends.length; place++) {
      ends[place] = (ends[place] ?? 0) + (ends[place - 1] ?? 0);
    }
    for (let row = 0; row < count; row++) {
      const place = schema[row] ?? 0;
      const next = ends[place] ?? 0;
      this.#order[next] = (key[row] ?? 0) * count + row;
      ends[place] = next + 1;
    }
    for (let place = 0, start = 0; start < count; place++) {
      const end = ends[place] ?? 0;
      this.#order.subarray(start, end).sort();
      start = end;
    }
  }
}
