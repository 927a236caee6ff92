import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Database from "better-sqlite3";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildSnapshot } from "../../src/snapshot/build-snapshot.ts";
import { decodeVin } from "../../src/snapshot/decode-vin.ts";
import type { SnapshotData } from "../../src/snapshot/snapshot-data.ts";
import { toSnapshotError } from "../../src/snapshot/snapshot-error.ts";
import { openSnapshot, type SnapshotSource } from "../../src/snapshot/snapshot-source.ts";
import { importSqlDump } from "../../src/snapshot/sql-dump.ts";
import { toDecode } from "../../src/snapshot/to-decode.ts";
import type { Decode } from "../../src/vehicle/vehicle.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { zip, type ZippedFile } from "./dump-zip.ts";
import { LogRecorder } from "./log-recorder.ts";
import { DUMP_TABLES, DUMP_VIN, formatDump, withoutTable, withTable } from "./sql-dump-file.ts";
import { makeTemporaryDirectory, type TemporaryDirectory } from "./temporary-directory.ts";
import { unpackHere } from "./unpack-here.ts";

const NAME = "vPICList_lite_2026_10.sql";
const ZIP_NAME = "vPICList_lite_2026_10.plain.zip";
const DUMP = formatDump(DUMP_TABLES);
/** Other tests cover changes of the file. */
const NEVER_MS = 3_600_000;
const NOW_MS = Date.parse("2026-11-22T12:00:00Z");
const QUERY = { vin: parseVin(DUMP_VIN) };

let directory: TemporaryDirectory;
let log: LogRecorder;

beforeEach(async () => {
  directory = await makeTemporaryDirectory();
  log = new LogRecorder();
});

afterEach(async () => {
  await directory[Symbol.asyncDispose]();
});

function open(name: string, elapsedMs: () => number = () => 0): SnapshotSource {
  const snapshotPath = join(directory.path, name);
  const dataDir = join(directory.path, "data");
  return openSnapshot({ dataDir, snapshotPath, logger: log, elapsedMs, pollMs: NEVER_MS });
}

async function unpack(name: string, content: string | Buffer): Promise<SnapshotData> {
  await writeFile(join(directory.path, name), content);
  return await unpackHere(join(directory.path, name), join(directory.path, "data"));
}

async function modelFrom(name: string, content: string | Buffer): Promise<string> {
  const data = await unpack(name, content);
  const { modelYear, make, model, bodyClass, dataDate } = decode(data);
  return `${dataDate}: ${modelYear} ${make} ${model} ${bodyClass}`;
}

function decode(data: SnapshotData): Decode {
  return toDecode(data, QUERY, decodeVin(data, QUERY.vin, undefined, NOW_MS), NOW_MS);
}

const MODEL = "2026-10: 2014 PETERBILT 388 Truck-Tractor";

/** The reason that is reported for a file that cannot be used. */
async function reasonAgainst(name: string, content: string | Buffer): Promise<string> {
  const fault = await unpack(name, content).catch((error: unknown) => error);
  return toSnapshotError(fault).message;
}

describe("NHTSA's monthly file", () => {
  test.each([
    ["as downloaded", ZIP_NAME, zip([{ name: NAME, content: DUMP }])],
    ["in a zip file with ZIP64 numbers", ZIP_NAME, zip([{ name: NAME, content: DUMP }], true)],
    ["stored without compression", ZIP_NAME, zip([{ name: NAME, content: DUMP, isStored: true }])],
    [
      "in a zip file with other files",
      ZIP_NAME,
      zip([
        { name: "read.me", content: "" },
        { name: `data/${NAME}`, content: DUMP },
      ]),
    ],
    ["under another name", "latest.zip", zip([{ name: NAME, content: DUMP }])],
    ["unzipped", NAME, DUMP],
    ["with Windows line endings", NAME, DUMP.replaceAll("\n", "\r\n")],
    ["without a newline at the end", NAME, DUMP.trimEnd()],
  ])("is decoded with %s", async (_, name, content) => {
    expect(await modelFrom(name, content)).toBe(MODEL);
  });

  test("has the values of patterns, of the engine model and of the manufacturer, but no private ones", async () => {
    const { attributes, verdict } = decode(await unpack(NAME, DUMP));

    expect(attributes).toEqual({
      ABS: "Standard",
      EngineCylinders: "6",
      EngineModel: "ISX 12L",
      FuelTypePrimary: "Diesel",
      MakeID: "509",
      Manufacturer: "PETERBILT MOTORS COMPANY",
      ManufacturerId: "1033",
      ModelID: "5571",
      Note: 'Day cab "A\\B", Élan',
      VehicleDescriptor: "1XPWD40X*ED",
      VehicleType: "TRUCK",
    });
    expect(verdict.codes).toEqual([0, 14]);
  });

  test("is dated by its newest pattern when its name has no month", async () => {
    expect(await modelFrom("latest.sql", DUMP)).toBe(MODEL.replace("2026-10", "2026-02-17"));
  });

  test("logs the progress of reading, and leaves no temporary files", async () => {
    await writeFile(join(directory.path, NAME), DUMP);
    await using source = open(NAME);
    await source.whenSettled();

    expect(source.status()).toEqual({ state: "ready", dataDate: "2026-10" });
    expect(log.lines.map(({ fields }) => fields)).toEqual(
      expect.arrayContaining([
        { step: "reading", percent: 0 },
        { step: "reading", percent: 100 },
        { step: "done", percent: undefined },
      ]),
    );
    expect(await readdir(join(directory.path, "data"))).toEqual(["snapshot.bin", "snapshot.bin.lock"]);
  });
});

async function importFrom(chunks: Iterable<Buffer>): Promise<Database.Database & Disposable> {
  const path = join(directory.path, `${crypto.randomUUID()}.db`);
  await importSqlDump({ name: NAME, bytes: DUMP.length, chunks: toAsync(chunks) }, path, () => undefined);
  const database = new Database(path);
  return Object.assign(database, { [Symbol.dispose]: () => database.close() });
}

describe("a dump's rows", () => {
  test("are the same for any chunks of the file", async () => {
    const dump = Buffer.from(DUMP);
    using whole = await importFrom([dump]);
    const expected = contentOf(whole);

    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(dump.length), { maxLength: 40 }), async (cuts) => {
        const places = [0, ...cuts.toSorted((a, b) => a - b), dump.length];
        using database = await importFrom(places.map((end, i) => dump.subarray(places[i - 1] ?? 0, end)));

        expect(contentOf(database)).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });

  test("are read by the names of their columns, in any order, with or without quotes", async () => {
    using database = await importFrom([
      Buffer.from(
        DUMP.replace(
          /COPY vpic\.wmi_make [^]*?\n\\\./,
          String.raw`COPY "vpic"."Wmi_Make" ("Make""s", "MakeId", wmiid) FROM stdin;
x	509	2180
\.`,
        ),
      ),
    ]);

    expect(database.prepare("SELECT WmiId, MakeId FROM Wmi_Make").all()).toEqual([{ wmiid: 2180, makeid: 509 }]);
  });

  test.each([
    [String.raw`a\\b`, String.raw`a\b`],
    [String.raw`\b\f\n\r\t\v`, "\b\f\n\r\t\v"],
    [String.raw`\101\x42\103\x4d`, "ABCM"],
    [String.raw`\303\211lan \xC3\x89`, "Élan É"],
    [String.raw`\q\.\xg`, "q.xg"],
    [String.raw`\\N`, String.raw`\N`],
    ["", ""],
    ["Škoda 日本 \u{1F697} \uFFFD", "Škoda 日本 \u{1F697} \uFFFD"],
  ])("have the text %j for what it stands for", async (escaped, text) => {
    using database = await importFrom([Buffer.from(DUMP.replace("Truck-Tractor", () => escaped))]);

    expect(database.prepare("SELECT Name FROM BodyStyle WHERE Id = 66").pluck().get()).toBe(text);
  });

  test("are kept only for tables from which the snapshot is built", async () => {
    using database = await importFrom([Buffer.from(DUMP)]);

    const tables = database.prepare("SELECT name FROM sqlite_master ORDER BY name").pluck().all();
    expect(tables).toEqual(Object.keys(DUMP_TABLES).filter((name) => !/defs_body|validchars/.test(name)));
  });

  test("are ignored if they belong to another schema", async () => {
    const other = "COPY public.wmi (id) FROM stdin;\nCOPY vpic.wmi (id) FROM stdin;\n\\.\n";

    using database = await importFrom([Buffer.from(DUMP.replace("COPY vpic.abs", `${other}COPY vpic.abs`))]);

    expect(database.prepare("SELECT count(*) FROM Wmi").pluck().get()).toBe(1);
  });
});

test("the patterns of a dump are the same, however few are read at a time", async () => {
  const { rows = [] } = DUMP_TABLES["pattern"] ?? {};
  const ofOtherSchema = rows.map(([id, , ...values]) => [Number(id) + 100, 10, ...values]);
  const dump = formatDump({
    ...withTable("pattern", { rows: [...ofOtherSchema, ...rows] }),
    vinschema: { columns: ["id", "name", "tobeqced"], rows: [9, 10].map((id) => [id, "Peterbilt", null]) },
  });
  const path = join(directory.path, "patterns.db");
  await importSqlDump({ name: NAME, bytes: dump.length, chunks: toAsync([Buffer.from(dump)]) }, path, () => undefined);
  const build = (rowsAtOnce?: number): unknown => {
    const parts: Buffer[] = [];
    const content = buildSnapshot(path, (records) => parts.push(Buffer.from(records)), rowsAtOnce);
    return { ...content, records: Buffer.concat(parts).toString("hex") };
  };

  const whole = build();

  expect(build(1)).toEqual(whole);
  expect(build(8)).toEqual(whole);
});

describe("a dump cannot be used", () => {
  const at = (text: string): string => `${NAME}, line ${DUMP.slice(0, DUMP.indexOf(text)).split("\n").length}`;
  const anywhere = (message: string): unknown => expect.stringMatching(RegExp(`^${NAME}, line \\d+${message}$`));

  test.each([
    ["lacks a table", formatDump(withoutTable("pattern")), anywhere(": it has no rows of these tables: pattern")],
    ["lacks a look-up table", formatDump(withoutTable("abs")), anywhere(": it has no rows of these tables: abs")],
    [
      "lacks a column",
      DUMP.replace("vinschemaid, keys, elementid", "other, keys, elementid"),
      `${at("COPY vpic.pattern (id, ")}, table pattern: the table has no column vinschemaid`,
    ],
    [
      "has a row with too few columns",
      DUMP.replace("2180\t509", "2180"),
      `${at("2180\t509")}, table wmi_make: expected 2 columns, found 1`,
    ],
    [
      "has text instead of a number",
      DUMP.replace("2180\t509", "2180\tFord"),
      `${at("2180\t509")}, table wmi_make: column makeid: expected an integer`,
    ],
    [
      "has text instead of a time",
      DUMP.replace("2026-02-17 08:00:00", "yesterday"),
      `${at("2026-02-17")}, table pattern: column updatedon: expected a time such as 2026-10-09 12:30:00`,
    ],
    [
      "has a word instead of a boolean",
      DUMP.replace("to be checked\t1XP\t2015-04-14 13:31:17.8\t\\N\tt", (row) => `${row}rue`),
      `${at("to be checked")}, table vinschema: column tobeqced: expected t or f`,
    ],
    [
      "lacks a required value",
      DUMP.replace("509\tPeterbilt", "509\t\\N"),
      `${at("509\tPeterbilt")}, table make: column name is null`,
    ],
    [
      "has an incomplete escape",
      DUMP.replace("Truck-Tractor", "Truck\\"),
      `${at("Truck-Tractor")}, table bodystyle: column name ends with an incomplete escape`,
    ],
    [
      "has bytes that are not UTF-8",
      Buffer.from(DUMP.replace("Élan", "Elan").replace("Truck-Tractor", "\u00c9lan"), "latin1"),
      `${at("Truck-Tractor")}, table bodystyle: the row is not valid UTF-8`,
    ],
    [
      "is in another encoding",
      DUMP.replace("'UTF8'", "'WIN1252'"),
      `${at("SET client_encoding")}: its encoding is WIN1252; expected UTF8`,
    ],
    [
      "is truncated within a table",
      DUMP.slice(0, DUMP.indexOf("\t509\n")),
      `${at("2180\t509")}, table wmi_make: expected 2 columns, found 1`,
    ],
    [
      "is truncated at the end of a row",
      DUMP.slice(0, DUMP.indexOf("2180\t509\n") + "2180\t509\n".length),
      `${at("2180\t509")}, table wmi_make: the file is truncated within the table`,
    ],
    [
      "is truncated between tables",
      DUMP.slice(0, DUMP.indexOf("COPY vpic.wmi_make")),
      anywhere(": it has no rows of these tables: wmi_make, wmi_vinschema"),
    ],
    ["has the rows of a table twice", DUMP + DUMP, anywhere(", table abs: the table occurs twice")],
    [
      "ends with a line of 16 MiB",
      DUMP + "-".repeat(1 + (16 << 20)),
      anywhere(": the line is longer than 16777216 bytes"),
    ],
    [
      "is empty",
      "",
      `${NAME}, line 0: it has no rows of these tables: ${Object.keys(DUMP_TABLES).filter(isRequired).join(", ")}`,
    ],
  ])("when it %s", async (_, content, message) => {
    const fault = await importFrom([Buffer.from(content)]).catch((error: unknown) => error);

    expect(fault).toMatchObject({ name: "SnapshotError", culprit: "database", message });
  });

  test("when it has no patterns", async () => {
    const reason = await reasonAgainst(NAME, formatDump(withTable("pattern", { rows: [] })));

    expect(reason).toBe("it has no patterns to decode with");
  });

  test("when it is in pg_dump's custom format", async () => {
    const reason = await reasonAgainst("vPICList_lite_2026_10.custom", "PGDMP\u0001\u000e, and so on");

    expect(reason).toBe("it is in pg_dump's custom format; use NHTSA's .plain.zip instead");
  });

  test("and is not replaced by the embedded data, nor read again until it changes", async () => {
    await writeFile(join(directory.path, NAME), DUMP.replace("2180\t509", "2180"));
    let elapsedMs = 0;
    await using source = open(NAME, () => elapsedMs);
    await source.whenSettled();
    const linesBefore = log.lines.length;
    elapsedMs += 60_000;

    await expect(source.decode(QUERY, AbortSignal.timeout(60_000))).rejects.toThrow("expected 2 columns, found 1");

    expect(log.lines).toHaveLength(linesBefore);
    await writeFile(join(directory.path, NAME), DUMP);
    elapsedMs += 60_000;
    expect(await source.decode(QUERY, AbortSignal.timeout(60_000))).toMatchObject({ make: "PETERBILT" });
  });
});

test("a damaged zip file is read again after it was downloaded again", async () => {
  const whole = zip([{ name: NAME, content: DUMP }]);
  await writeFile(join(directory.path, ZIP_NAME), spoilt(whole));
  let elapsedMs = 0;
  await using source = open(ZIP_NAME, () => elapsedMs);
  await source.whenSettled();
  const statusBefore = source.status();
  await writeFile(join(directory.path, ZIP_NAME), whole);
  elapsedMs += 60_000;

  const decode = await source.decode(QUERY, AbortSignal.timeout(60_000));

  expect(statusBefore.state).toBe("unavailable");
  expect(decode).toMatchObject({ make: "PETERBILT" });
});

describe("a zip file cannot be used", () => {
  const file: ZippedFile = { name: NAME, content: DUMP };
  const whole = zip([file]);

  test.each([
    ["is truncated", whole.subarray(0, whole.length / 2), `${ZIP_NAME}: the zip file is truncated: download it again`],
    [
      "lacks its beginning",
      Buffer.concat([whole.subarray(0, 4), whole.subarray(2_000)]),
      `${ZIP_NAME}: the zip file is truncated: download it again`,
    ],
    [
      "has a wrong checksum",
      zip([{ ...file, crc: 1 }]),
      `the checksum of ${NAME} is wrong: download ${ZIP_NAME} again`,
    ],
    ["has a wrong size", zip([{ ...file, bytes: 100 }]), `the size of ${NAME} is wrong: download ${ZIP_NAME} again`],
    ["is damaged in the middle", spoilt(whole), "it is damaged"],
    [
      "has no .sql file",
      zip([{ name: "vPICList_lite_2026_10.custom", content: "PGDMP" }]),
      `${ZIP_NAME}: expected one .sql file in it, found 0; NHTSA's .plain.zip has one`,
    ],
    ["is empty", zip([]), `${ZIP_NAME}: expected one .sql file in it, found 0; NHTSA's .plain.zip has one`],
    [
      "has two .sql files",
      zip([file, { ...file, name: "other.SQL" }]),
      `${ZIP_NAME}: expected one .sql file in it, found 2; NHTSA's .plain.zip has one`,
    ],
    ["has an empty .sql file", zip([{ name: NAME, content: "", isStored: true }]), `${ZIP_NAME}: ${NAME} is empty`],
    [
      "is encrypted",
      zip([{ ...file, isEncrypted: true }]),
      `${ZIP_NAME}: ${NAME} is encrypted or compressed with a method other than deflate; unpack it yourself`,
    ],
  ])("when it %s", async (_, content, expected) => {
    expect(await reasonAgainst(ZIP_NAME, content)).toContain(expected);
  });
});

/** Whether a dump needs the table. Look-up tables are needed only if elements name them. */
function isRequired(table: string): boolean {
  return !["abs", "bodystyle", "defs_body", "fueltype", "wmiyearvalidchars"].includes(table);
}

async function* toAsync(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks;
}

function contentOf(database: Database.Database): unknown[] {
  const tables = database.prepare<[], string>("SELECT name FROM sqlite_master ORDER BY name").pluck().all();
  return tables.map((table) => database.prepare(`SELECT * FROM ${table}`).all());
}

function spoilt(content: Buffer): Buffer {
  const copy = Buffer.from(content);
  // The first byte of the compressed data gets a block type that does not exist.
  copy.fill(0xff, 30 + NAME.length, 400);
  return copy;
}
