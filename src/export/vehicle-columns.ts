import type { SchemaElement } from "hyparquet";
import type { ColumnSource } from "hyparquet-writer";

import type { ExportedRow } from "../cache/exported-rows.ts";
import { RepetitiveText } from "./repetitive-text.ts";

function textColumn(name: string): SchemaElement {
  const logical_type = { type: "STRING" } as const;
  return { name, type: "BYTE_ARRAY", converted_type: "UTF8", logical_type, repetition_type: "REQUIRED" };
}

const TEXT_COLUMNS = ["make", "model", "model_year", "body_class", "source"] as const;

const DECODE_TIME: SchemaElement = {
  name: "decode_time",
  type: "INT64",
  converted_type: "TIMESTAMP_MILLIS",
  // Without it, readers take the time for a local one.
  logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
  repetition_type: "REQUIRED",
};

const ATTRIBUTES: SchemaElement = {
  name: "attributes",
  type: "BYTE_ARRAY",
  logical_type: { type: "JSON" },
  repetition_type: "REQUIRED",
};

const HEAD = [textColumn("vin"), ...TEXT_COLUMNS.map(textColumn), DECODE_TIME, textColumn("verdict")];
const ROOT: SchemaElement = { name: "vehicles", num_children: HEAD.length + 1 };

/** The schema as the file states it. */
export const FILE_SCHEMA: SchemaElement[] = [ROOT, ...HEAD, { ...ATTRIBUTES, converted_type: "JSON" }];

/**
 * The schema to encode with. It differs in one mark: for a column of the converted type JSON the library serializes
 * values, and ours are JSON already.
 */
export const ENCODING_SCHEMA: SchemaElement[] = [ROOT, ...HEAD, ATTRIBUTES];

/**
 * Gathers rows as columns.
 *
 * Rows come in VIN order, so the bounds of `vin` in each row group let a reader skip nearly all groups; a bloom filter
 * would add nothing. Nobody searches by bounds of JSON or of the verdict.
 */
export class VehicleColumns {
  readonly #vins: string[] = [];
  readonly #text = TEXT_COLUMNS.map(() => new RepetitiveText());
  readonly #decodeTimes: bigint[] = [];
  readonly #verdicts = new RepetitiveText();
  readonly #attributes = new RepetitiveText();

  get rowCount(): number {
    return this.#vins.length;
  }

  /** How many characters the attributes gathered so far hold in memory: nearly all of a row's size. */
  get characters(): number {
    return this.#attributes.distinctCharacters;
  }

  add(row: ExportedRow): void {
    const [vin, make, model, modelYear, bodyClass, source, decodedAtMs, verdictCodes, attributes] = row;
    this.#vins.push(vin);
    for (const [index, text] of [make, model, modelYear, bodyClass, source].entries()) {
      this.#text[index]?.add(text);
    }
    this.#decodeTimes.push(BigInt(decodedAtMs));
    this.#verdicts.add(verdictCodes);
    this.#attributes.add(attributes);
  }

  toColumnData(): ColumnSource[] {
    // Left to itself, the library decides by a sample of 1,000 rows, in which values in short runs look distinct.
    const encoding: NonNullable<ColumnSource["encoding"]> = "RLE_DICTIONARY";
    return [
      { name: "vin", data: this.#vins, encoding: "PLAIN" },
      ...TEXT_COLUMNS.map((name, index) => ({ name, data: this.#text[index]?.values ?? [], encoding })),
      { name: DECODE_TIME.name, data: this.#decodeTimes, encoding: "PLAIN" },
      { name: "verdict", data: this.#verdicts.values, statistics: false, encoding },
      {
        name: ATTRIBUTES.name,
        data: this.#attributes.values,
        statistics: false,
        ...(this.#attributes.isRepetitive ? { encoding } : {}),
      },
    ];
  }
}
