import type { SchemaElement } from "hyparquet";
import type { ColumnSource } from "hyparquet-writer";
import type { ExportedRow } from "../cache/exported-rows.ts";

/** The columns of the file, in order. None is ever null. */
export const SCHEMA: SchemaElement[] = [
  { name: "vehicles", num_children: 9 },
  ...["vin", "make", "model", "model_year", "body_class", "source"].map(toTextElement),
  {
    name: "decode_time",
    type: "INT64",
    converted_type: "TIMESTAMP_MILLIS",
    // Without it, readers treat the time as local.
    logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
    repetition_type: "REQUIRED",
  },
  // The attributes are JSON, but are not marked as such: Polars would read the column as bytes.
  ...["verdict", "attributes"].map(toTextElement),
];

function toTextElement(name: string): SchemaElement {
  const logical_type = { type: "STRING" } as const;
  return { name, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type, repetition_type: "REQUIRED" };
}

/**
 * Gathers rows as columns.
 *
 * Rows come in VIN order, so the bounds of `vin` in each row group let a reader skip nearly all groups. A bloom filter
 * would add nothing. Verdict and attributes have no bounds, because readers do not search by them.
 */
export class VehicleColumns {
  readonly #vin = new TextColumn("vin");
  readonly #make = new TextColumn("make");
  readonly #model = new TextColumn("model");
  readonly #modelYear = new TextColumn("model_year");
  readonly #bodyClass = new TextColumn("body_class");
  readonly #source = new TextColumn("source");
  readonly #decodeTimes: bigint[] = [];
  readonly #verdict = new TextColumn("verdict");
  readonly #attributes = new TextColumn("attributes");

  get rowCount(): number {
    return this.#decodeTimes.length;
  }

  /** The number of characters that the rows keep in memory. */
  get characters(): number {
    return (
      this.#vin.distinctCharacters +
      this.#make.distinctCharacters +
      this.#model.distinctCharacters +
      this.#modelYear.distinctCharacters +
      this.#bodyClass.distinctCharacters +
      this.#source.distinctCharacters +
      this.#verdict.distinctCharacters +
      this.#attributes.distinctCharacters
    );
  }

  add(row: ExportedRow): void {
    const [vin, make, model, modelYear, bodyClass, source, decodedAtMs, verdictCodes, attributes] = row;
    this.#vin.add(vin);
    this.#make.add(make);
    this.#model.add(model);
    this.#modelYear.add(modelYear);
    this.#bodyClass.add(bodyClass);
    this.#source.add(source);
    this.#decodeTimes.push(BigInt(decodedAtMs));
    this.#verdict.add(verdictCodes);
    this.#attributes.add(attributes);
  }

  toColumnData(): ColumnSource[] {
    const noBounds = { statistics: false };
    return [
      { ...this.#vin.toSource(), encoding: "PLAIN" },
      this.#make.toSource(),
      this.#model.toSource(),
      this.#modelYear.toSource(),
      this.#bodyClass.toSource(),
      this.#source.toSource(),
      { name: "decode_time", data: this.#decodeTimes, encoding: "PLAIN" },
      { ...this.#verdict.toSource(), ...noBounds },
      { ...this.#attributes.toSource(), ...noBounds },
    ];
  }
}

/**
 * A column of texts that often repeat the previous one. Equal neighbours share one string, which is stored once and
 * hashed once.
 */
class TextColumn {
  readonly #name: string;
  readonly #values: string[] = [];
  #last = "";
  #characters = 0;
  /** The number of characters, with equal neighbours counted once. */
  distinctCharacters = 0;

  constructor(name: string) {
    this.#name = name;
  }

  add(text: string): void {
    if (text !== this.#last) {
      this.#last = text;
      this.distinctCharacters += text.length;
    }
    this.#characters += text.length;
    this.#values.push(this.#last);
  }

  toSource(): ColumnSource {
    // By default, the library decides by a sample of 1,000 rows, in which short runs of equal values look distinct.
    const encoding = this.distinctCharacters * 2 <= this.#characters ? "RLE_DICTIONARY" : "PLAIN";
    return { name: this.#name, data: this.#values, encoding };
  }
}
