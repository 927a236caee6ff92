import { isUtf8 } from "node:buffer";

/** A row cannot be parsed. The message says what is wrong, without the row's contents. */
export class CopyRowError extends Error {
  override readonly name = "CopyRowError";
}

/** A column that is kept. */
export interface KeptColumn {
  /** In lower case. */
  readonly name: string;
  /** Its position in the row. */
  readonly place: number;
}

/** A value for SQLite: true is 1, false is 0. */
export type CopyValue = string | number | null;

const INTEGERS: ReadonlySet<string> = new Set([
  "id",
  "modelyear",
  "schemaid",
  "vehiclespecschemaid",
  "vspecschemapatternid",
  "year",
  "elementid",
  "enginemodelid",
  "fromelementid",
  "makeid",
  "manufacturerid",
  "modelid",
  "toelementid",
  "trucktypeid",
  "vehicletypeid",
  "vinschemaid",
  "weight",
  "wmiid",
  "yearfrom",
  "yearto",
]);
const BOOLEANS: ReadonlySet<string> = new Set(["checkdigit", "iskey", "isprivate", "tobeqced"]);
const TIMES: ReadonlySet<string> = new Set(["createdon", "publicavailabilitydate", "updatedon"]);
const NULLABLE: ReadonlySet<string> = new Set([
  ...BOOLEANS,
  ...TIMES,
  "additionalerrortext",
  "defaultvalue",
  "code",
  "decode",
  "lookuptable",
  "manufacturerid",
  "trucktypeid",
  "vehicletypeid",
  "weight",
  "yearto",
]);
const INTEGER = /^-?\d{1,10}$/;
const TIME = /^\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?)?$/;
const NULL = String.raw`\N`;
const REPLACEMENT_CHARACTER = "\uFFFD";
const BYTES_OR_CHARACTER = /((?:\\(?:[0-7]{1,3}|x[\da-fA-F]{1,2}))+)|\\([^]?)/g;
const ONE_BYTE = /\\(?:x([\da-fA-F]+)|([0-7]+))/g;
const SPECIAL_CHARACTERS: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** The type of a column in SQLite. */
export function sqliteType(column: string): "INTEGER" | "TEXT" {
  return INTEGERS.has(column) || BOOLEANS.has(column) ? "INTEGER" : "TEXT";
}

/**
 * Parses one row of PostgreSQL's text format for COPY.
 *
 * @param columnCount the number of columns in the table.
 * @returns the kept columns.
 * @throws CopyRowError when the row is malformed.
 */
export function parseCopyRow(line: Buffer, columnCount: number, keptColumns: readonly KeptColumn[]): CopyValue[] {
  const text = line.toString("utf8");
  if (text.includes(REPLACEMENT_CHARACTER) && !isUtf8(line)) {
    throw new CopyRowError("the row is not valid UTF-8");
  }
  const fields = text.split("\t");
  if (fields.length !== columnCount) {
    throw new CopyRowError(`expected ${columnCount} columns, found ${fields.length}`);
  }
  return keptColumns.map(({ name, place }) => toValue(name, fields[place] ?? NULL));
}

function toValue(column: string, field: string): CopyValue {
  if (field === NULL) {
    if (!NULLABLE.has(column)) {
      throw new CopyRowError(`column ${column} is null`);
    }
    return null;
  }
  if (INTEGERS.has(column)) {
    return Number(matching(INTEGER, column, field, "an integer"));
  }
  if (BOOLEANS.has(column)) {
    return matching(/^[tf]$/, column, field, "t or f") === "t" ? 1 : 0;
  }
  if (TIMES.has(column)) {
    return matching(TIME, column, field, "a time such as 2026-10-09 12:30:00");
  }
  return field.includes("\\") ? unescape(column, field) : field;
}

function matching(form: RegExp, column: string, field: string, expected: string): string {
  if (!form.test(field)) {
    throw new CopyRowError(`column ${column}: expected ${expected}`);
  }
  return field;
}

function unescape(column: string, field: string): string {
  return field.replaceAll(BYTES_OR_CHARACTER, (_, bytes: string | undefined, character: string) => {
    if (bytes !== undefined) {
      const codes = [...bytes.matchAll(ONE_BYTE)].map(([, hex, octal]) => parseInt(hex ?? octal ?? "", hex ? 16 : 8));
      return Buffer.from(codes).toString("utf8");
    }
    if (character === "") {
      throw new CopyRowError(`column ${column} ends with an incomplete escape`);
    }
    return SPECIAL_CHARACTERS[character] ?? character;
  });
}
