import { createReadStream, createWriteStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createDeflateRaw } from "node:zlib";
import type Database from "better-sqlite3";
import { DUMP_TABLES, formatDump } from "../snapshot/sql-dump-file.ts";

/** The size of the file. */
export interface BigDumpSize {
  /** The number of copies of NHTSA's data. */
  readonly times: number;
  /** Maximum number of patterns in all. */
  readonly patterns: number;
  /** Unused rows are added up to this size. */
  readonly bytes: number;
}

type Value = string | number | null;
type Row = Record<string, Value>;

/** Tables with rows of their own in every copy, and the columns that have ids. */
const COPIED: Readonly<Record<string, readonly string[]>> = {
  make_model: ["id", "modelid"],
  model: ["id"],
  pattern: ["id", "vinschemaid"],
  vinschema: ["id"],
  wmi: ["id"],
  wmi_make: ["wmiid"],
  wmi_vinschema: ["id", "wmiid", "vinschemaid"],
};
/** The distance between the ids of one copy and the next. */
const IDS_OF_COPY = 100_000;
const PATTERN_IDS_OF_COPY = 5_000_000;
const MODEL = 28;
const SERIES = 34;
const NULL = String.raw`\N`;
/** Public variables without patterns in the embedded data. Half of NHTSA's patterns are for such variables. */
const OTHER_ELEMENTS = [3, 4, 33, 36, 37, 40, 41, 48, 49, 54, 61, 62, 63, 67, 81, 86, 87, 88, 99, 100, 101, 109, 110];
const VALUES_OF_OTHERS = 400;
/** One in this many patterns has two of them. */
const SECOND_OTHER_EVERY = 11;
const ALPHABET = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789";
const LITERALS = /\[[^\]]*\]|[A-Z0-9]/g;
const SPECIAL = /[\\\t\n\r]/;
const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };
/** The number of rows of the tables that are made up here: vehicle specifications and exempted VINs. */
const SPEC_SCHEMAS = 6_625;
const SPEC_PATTERNS_PER_SCHEMA = 2.5;
const VALUES_PER_SPEC_PATTERN = 13;
const EXEMPTED_VINS = 18_805;
const TIME = "2020-02-03 04:05:06.789";
const CHUNK_CHARACTERS = 1 << 20;
const LEVEL = 1;

/**
 * Writes a dump like NHTSA's, but bigger: the embedded data, and copies of it with other identifiers, keys and values.
 * The same sizes give the same file.
 */
export async function writeBigDump(path: string, embedded: Database.Database, size: BigDumpSize): Promise<void> {
  await pipeline(Readable.from(inChunks(linesOf(embedded, size), size.bytes)), createWriteStream(path));
}

/** Puts one file into a zip file, as a stream. */
export async function zipBigDump(sqlPath: string, name: string, zipPath: string): Promise<void> {
  const header = Buffer.alloc(30);
  header.write("PK\u0003\u0004", "latin1");
  // The directory has the sizes and the checksum.
  header.writeUInt16LE(8, 6);
  header.writeUInt16LE(8, 8);
  header.writeUInt16LE(name.length, 26);
  const counted = { crc: 0, bytes: 0 };
  const zip = createWriteStream(zipPath);
  zip.write(Buffer.concat([header, Buffer.from(name)]));
  await pipeline(
    createReadStream(sqlPath, { highWaterMark: CHUNK_CHARACTERS }),
    async function* count(chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        counted.crc = crc32(chunk, counted.crc);
        counted.bytes += chunk.length;
        yield chunk;
      }
    },
    createDeflateRaw({ level: LEVEL }),
    zip,
  );
  const directoryAt = zip.bytesWritten;
  const entry = Buffer.alloc(46);
  entry.write("PK\u0001\u0002", "latin1");
  header.copy(entry, 8, 6, 12);
  entry.writeUInt32LE(counted.crc, 16);
  entry.writeUInt32LE(directoryAt - header.length - name.length, 20);
  entry.writeUInt32LE(counted.bytes, 24);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.write("PK\u0005\u0006", "latin1");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(entry.length + name.length, 12);
  end.writeUInt32LE(directoryAt, 16);
  await using file = await open(zipPath, "a");
  await file.writeFile(Buffer.concat([entry, Buffer.from(name), end]));
}

/** Joins lines, and adds the valid characters at the end. */
function* inChunks(lines: Iterable<string>, bytes: number): Generator<string> {
  let chunk = "";
  let written = 0;
  for (const line of lines) {
    chunk += line;
    if (chunk.length >= CHUNK_CHARACTERS) {
      yield chunk;
      written += chunk.length;
      chunk = "";
    }
  }
  yield `${chunk}COPY vpic.wmiyearvalidchars (id, wmi, year, position, "char") FROM stdin;\n`;
  for (let id = 1; written < bytes; chunk = "") {
    for (; chunk.length < CHUNK_CHARACTERS; id++) {
      chunk += `${id}\t1X${ALPHABET[id % 33]}\t${1981 + (id % 47)}\t${4 + (id % 14)}\t${ALPHABET[id % 31]}\n`;
    }
    yield chunk;
    written += chunk.length;
  }
  yield "\\.\n";
}

function* linesOf(embedded: Database.Database, size: BigDumpSize): Generator<string> {
  const tables = embedded.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
  const names = new Map(tables.map((name) => [name.toLowerCase(), name]));
  const made = madeTables(embedded, size.times);
  yield formatDump(
    Object.fromEntries(
      Object.entries(DUMP_TABLES).filter(([name]) => !names.has(name) && !made.some(([table]) => table === name)),
    ),
  );
  for (const [name, columns, rows] of made) {
    yield `COPY vpic.${name} (${columns.join(", ")}) FROM stdin;\n`;
    for (const row of rows) {
      yield `${row.join("\t")}\n`;
    }
    yield "\\.\n";
  }
  const lookups = embedded.prepare<[], string>(
    "SELECT DISTINCT lower(LookupTable) FROM Element WHERE LookupTable > ''",
  );
  for (const name of lookups.pluck().all()) {
    if (!names.has(name) && DUMP_TABLES[name] === undefined) {
      yield `COPY vpic.${name} (id, name) FROM stdin;\n1\tStandard\n2\tOptional\n\\.\n`;
    }
  }
  for (const [lowerName, name] of names) {
    const columns = embedded.prepare<[], { name: string }>(`SELECT name FROM pragma_table_info('${name}')`).all();
    const lowerColumns = columns.map((column) => column.name.toLowerCase());
    yield `COPY vpic.${lowerName} (${lowerColumns.join(", ")}) FROM stdin;\n`;
    for (const row of copiesOf(lowerName, rowsOf(embedded, name, lowerColumns), size)) {
      yield `${lowerColumns.map((column) => formatValue(column, row[column] ?? null)).join("\t")}\n`;
    }
    yield "\\.\n";
  }
}

/** Tables that the embedded data lacks: name, columns and rows. */
function madeTables(
  embedded: Database.Database,
  times: number,
): (readonly [string, readonly string[], Iterable<readonly (string | number)[]>])[] {
  const models = embedded
    .prepare<[], [number, number]>("SELECT MakeId, ModelId FROM Make_Model ORDER BY Id")
    .raw()
    .all();
  const schemas = Array.from({ length: SPEC_SCHEMAS * times }, (_, i) => i + 1);
  const patterns = Array.from({ length: schemas.length * SPEC_PATTERNS_PER_SCHEMA }, (_, i) => i + 1);
  const modelOf = (i: number): readonly [number, number] => models[(i * 3) % models.length] ?? [0, 0];
  const years = [2008, 2015];
  return [
    [
      "vehiclespecschema",
      ["id", "makeid", "createdon", "updatedon", "vehicletypeid", "sourcedate", "tobeqced"],
      schemas.map((id) => [id, modelOf(id)[0], TIME, NULL, [2, 3, 7][id % 3] ?? 2, NULL, NULL]),
    ],
    [
      "vehiclespecschema_model",
      ["id", "vehiclespecschemaid", "modelid"],
      schemas.map((id) => [id, id, modelOf(id)[1]]),
    ],
    [
      "vehiclespecschema_year",
      ["id", "vehiclespecschemaid", "year"],
      schemas.flatMap((id) => years.map((year, i) => [id * 2 + i, id, year + (id % 7)])),
    ],
    ["vspecschemapattern", ["id", "schemaid"], patterns.map((id) => [id, Math.ceil(id / SPEC_PATTERNS_PER_SCHEMA)])],
    [
      "vehiclespecpattern",
      ["id", "vspecschemapatternid", "iskey", "elementid", "attributeid", "createdon", "updatedon"],
      specValues(patterns),
    ],
    [
      "vinexception",
      ["id", "vin", "checkdigit", "createdon", "updatedon"],
      Array.from({ length: EXEMPTED_VINS * times }, (_, i) => [i, `1C9FA3822R1${100_000 + i}`, "t", TIME, NULL]),
    ],
  ];
}

/** Each pattern of a specification has a key, its series, and values for other variables. */
function* specValues(patterns: readonly number[]): Generator<(string | number)[]> {
  for (const pattern of patterns) {
    for (let i = 0; i < VALUES_PER_SPEC_PATTERN; i++) {
      const [elementId, value] = i === 0 ? [SERIES, `Series ${pattern % 900}`] : [OTHER_ELEMENTS[i] ?? 0, i % 3];
      yield [pattern * VALUES_PER_SPEC_PATTERN + i, pattern, i === 0 ? "t" : "f", elementId, value, TIME, NULL];
    }
  }
}

function* rowsOf(embedded: Database.Database, table: string, columns: readonly string[]): Generator<Row> {
  const rows = embedded.prepare<[], Value[]>(`SELECT * FROM "${table}"`).raw();
  for (const values of rows.iterate()) {
    yield Object.fromEntries(columns.map((column, i) => [column, values[i] ?? null]));
  }
}

function* copiesOf(table: string, rows: Iterable<Row>, size: BigDumpSize): Generator<Row> {
  const ids = COPIED[table];
  if (ids === undefined) {
    yield* rows;
    return;
  }
  const originals = [...rows];
  let left = table === "pattern" ? size.patterns : Infinity;
  for (let copy = 0; copy < size.times; copy++) {
    for (const [i, original] of originals.entries()) {
      for (const row of table === "pattern" ? withOthers(original, i) : [original]) {
        if (left-- > 0) {
          yield copy === 0 ? row : toCopy(table, row, ids, copy, i);
        }
      }
    }
  }
}

/** A pattern, and patterns of the same keys for variables that the embedded data lacks. */
function* withOthers(pattern: Row, i: number): Generator<Row> {
  yield pattern;
  const others = i % SECOND_OTHER_EVERY === 0 ? 2 : 1;
  for (let other = 1; other <= others; other++) {
    const elementid = OTHER_ELEMENTS[(i * other) % OTHER_ELEMENTS.length] ?? 0;
    const id = Number(pattern["id"]) + (other * PATTERN_IDS_OF_COPY) / 4;
    yield { ...pattern, id, elementid, attributeid: String((i * 7 + other) % VALUES_OF_OTHERS) };
  }
}

function toCopy(table: string, row: Row, ids: readonly string[], copy: number, i: number): Row {
  const copied = { ...row };
  for (const column of ids) {
    const perCopy = table === "pattern" && column === "id" ? PATTERN_IDS_OF_COPY : IDS_OF_COPY;
    copied[column] = Number(row[column]) + copy * perCopy;
  }
  if (table === "wmi") {
    copied["wmi"] = `${String(row["wmi"]).slice(0, 2)}9${toLetters(copy * IDS_OF_COPY + i)}`;
  } else if (table === "pattern") {
    copied["keys"] = String(row["keys"]).replaceAll(LITERALS, (literal) => rotate(literal, copy));
    copied["attributeid"] =
      row["elementid"] === MODEL
        ? String(Number(row["attributeid"]) + copy * IDS_OF_COPY)
        : withCopyNumber(String(row["attributeid"]), copy);
  }
  return copied;
}

/** Texts differ between copies; numbers, such as ids of look-up tables, do not. */
function withCopyNumber(value: string, copy: number): string {
  return /^[\d.]*$/.test(value) ? value : `${value} ${copy}`;
}

function rotate(literal: string, by: number): string {
  const place = ALPHABET.indexOf(literal);
  return literal.length > 1 || place < 0 ? literal : (ALPHABET[(place + by) % ALPHABET.length] ?? literal);
}

function toLetters(value: number): string {
  const digits = [value, value / 33, value / 1_089].map((part) => ALPHABET[Math.floor(part) % ALPHABET.length]);
  return digits.join("");
}

function formatValue(column: string, value: Value): string {
  if (value === null) {
    return NULL;
  }
  if (column.endsWith("edon") || column.endsWith("date")) {
    // Some times of the embedded data have JavaScript's format.
    return String(value).replace("T", " ").replace("Z", "");
  }
  if (column === "tobeqced" || column.startsWith("is") || column.startsWith("include")) {
    return value === 0 ? "f" : "t";
  }
  const text = String(value);
  return SPECIAL.test(text) ? text.replaceAll(/[\\\t\n\r]/g, (character) => ESCAPES[character] ?? "") : text;
}
