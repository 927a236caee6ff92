import { describe, expect, test } from "vitest";
import type { ParsedList } from "../../src/page/many/parse-list.ts";
import { parseList, queriesOf } from "../../src/page/many/parse-list.ts";
import { decodeText } from "../../src/page/many/read-file.ts";
import { reportOn } from "../../src/page/many/report.ts";
import { manyVins } from "../support/real-vins.ts";

const [A = "", B = "", C = ""] = manyVins(3);

function vinsIn(list: ParsedList): (string | undefined)[] {
  return list.rows.map(({ vin }) => vin);
}

/** The VINs and model years that are sent. */
function sentOf(list: ParsedList): string[] {
  return queriesOf(list).map(({ vin, modelYear }) => (modelYear === undefined ? vin : `${vin} ${modelYear}`));
}

describe("a pasted column", () => {
  test("is read line by line, with any line breaks", () => {
    const list = parseList(`${A}\r\n${B}\r${C}\n`);

    expect(list).toMatchObject({ kind: "column", columns: ["VIN"], hasHeader: false, blanks: 0, tidied: 0 });
    expect(vinsIn(list)).toEqual([A, B, C]);
  });

  test("may have a byte-order mark, a header, blank lines and duplicates", () => {
    const list = parseList(`\uFEFFVehicle Identification Number\n${A}\n\n  \n${B}\n${A}\n`);

    expect(list).toMatchObject({ hasHeader: true, blanks: 2, duplicates: 1 });
    expect(vinsIn(list)).toEqual([A, B, A]);
    expect(sentOf(list)).toEqual([A, B]);
    expect(list.rows.map(({ line }) => line)).toEqual([2, 5, 6]);
  });

  test("may have blanks, dashes and quotes in its VINs", () => {
    const list = parseList(`${A.slice(0, 3)} ${A.slice(3)}\n${B.slice(0, 9)}-${B.slice(9)}\n"${C.toLowerCase()}"`);

    expect(vinsIn(list)).toEqual([A, B, C]);
    expect(list.tidied).toBe(2);
  });

  test("keeps texts that are not VINs, and says why", () => {
    const { rows } = parseList(`${A}\n1XPWD4OX1ED2153O7\n${B.slice(1)}\nsoon`);

    expect(rows.map(({ vin }) => vin)).toEqual([A, undefined, undefined, undefined]);
    expect(rows[1]).toMatchObject({ line: 2, meant: "1XPWD40X1ED215307", fault: expect.stringContaining("position") });
    expect(rows[2]?.fault).toContain("this has 16");
  });

  test("finds a VIN between other words", () => {
    expect(vinsIn(parseList(`VIN: ${A}\nVIN: ${B} (sold)`))).toEqual([A, B]);
  });
});

describe("a table", () => {
  test.each([
    [",", "CSV"],
    [";", "CSV with semicolons"],
    ["\t", "TSV"],
    ["|", "a table with bars"],
  ])("separated by %j is read as %s", (separator) => {
    const list = parseList(
      [
        ["Unit", "Vin", "Note"],
        ["1", A, "red"],
        ["2", B, ""],
        ["3", C],
      ]
        .map((cells) => cells.join(separator))
        .join("\n"),
    );

    expect(list).toMatchObject({ kind: "table", separator, columns: ["Unit", "Vin", "Note"], vinColumn: 1 });
    expect(vinsIn(list)).toEqual([A, B, C]);
    expect(list.rows[0]?.cells).toEqual(["1", A, "red"]);
  });

  test("may have separators, line breaks and quotes within quotes", () => {
    const list = parseList(`"VIN","Note"\n"${A}","red, ""big""\nand old"\n${B},plain`);

    expect(list.rows).toMatchObject([
      { line: 2, cells: [A, 'red, "big"\nand old'] },
      { line: 4, cells: [B, "plain"] },
    ]);
  });

  test("treats a quote that never ends as a character", () => {
    const list = parseList(`${A},12" wheels\n${B},"13 wheels\n${C},plain`);

    expect(list.rows.map(({ cells }) => cells[1])).toEqual(['12" wheels', '"13 wheels', "plain"]);
  });

  test("without a header gets names for its columns", () => {
    expect(parseList(`1,${A}\n2,${B}`)).toMatchObject({ columns: ["Column 1", "VIN"], hasHeader: false });
  });

  test("finds the VINs by their form, not by the name of their column", () => {
    const list = parseList(`VIN checked,Chassis\nyes,${A}\nno,${B}`);

    expect(list).toMatchObject({ vinColumn: 1, hasHeader: true });
  });

  test("keeps a row without a VIN in its place", () => {
    expect(vinsIn(parseList(`1,${A}\n2,\n,,\n3,${B}`))).toEqual([A, undefined, B]);
  });
});

describe("a column of model years", () => {
  test.each(["Year", "Model Year", "model_year", "ModelYear", "MY", "Vehicle year"])(
    "is found by the name %s",
    (name) => {
      const list = parseList(`VIN,${name}\n${A},2014\n${B},2015.0\n${C},`);

      expect(list).toMatchObject({ yearColumn: 1, usesYears: true, yearless: 0 });
      expect(sentOf(list)).toEqual([`${A} 2014`, `${B} 2015`, C]);
    },
  );

  test("is not found without a name, under another name, or with other numbers in it", () => {
    const lists = [`${A},2014`, `VIN,Year built\n${A},2014`, `VIN,Year\n${A},3\n${B},2014`, `VIN,Year\n${A},`];

    expect(lists.map((text) => parseList(text).yearColumn)).toEqual([undefined, undefined, undefined, undefined]);
  });

  test("is the one that says model year, if there are several", () => {
    expect(parseList(`Year,VIN,Model year\n2019,${A},2014`).yearColumn).toBe(2);
  });

  test("can be turned off", () => {
    const list = parseList(`VIN,Year\n${A},2014\n${B},2015`, false);

    expect(list).toMatchObject({ yearColumn: 1, usesYears: false, yearless: 0 });
    expect(sentOf(list)).toEqual([A, B]);
  });

  test("leaves out what is not a model year, and says so", () => {
    const list = parseList(`VIN,Year\n${A},2014\n${B},1975\n${C},2015`);

    expect(sentOf(list)).toEqual([`${A} 2014`, B, `${C} 2015`]);
    expect(reportOn(list).at(-1)).toMatch(
      /^1 VIN has no model year from 1980 to \d{4} in “Year”, and is sent without one\.$/,
    );
  });

  test("makes one VIN with two years two queries", () => {
    const list = parseList(`VIN,Year\n${A},2014\n${A},2015\n${A},2014`);

    expect(sentOf(list)).toEqual([`${A} 2014`, `${A} 2015`]);
    expect(list.duplicates).toBe(1);
  });
});

describe("any text", () => {
  test.each([
    `Please check ${A} and ${B}.\nAlso ${C}!`,
    `${A}, ${B}, ${C}`,
    `${A} ${B}\n${C}`,
    `Dear all,\n\nthese are for you:\n* ${A}\n* ${B} (${C})\n\nRegards`,
  ])("has its VINs picked out: %j", (text) => {
    const list = parseList(text);

    expect(list.kind).toBe("text");
    expect(vinsIn(list)).toEqual([A, B, C]);
  });

  test("without any VIN has only faulty rows", () => {
    const list = parseList("hello\nworld");

    expect(list.hasHeader).toBe(false);
    expect(vinsIn(list)).toEqual([undefined, undefined]);
  });
});

test("20,000 rows are all read", () => {
  const vins = manyVins(20_000);

  expect(sentOf(parseList(vins.join("\n")))).toEqual(vins);
});

test("the report describes the list in sentences", () => {
  const list = parseList(`Unit;VIN\n1;${A}\n2;${A.slice(0, 9)} ${A.slice(9)}\n;\n3;1XPWD40X2ED215307`);

  expect(reportOn(list)).toEqual([
    "A table with 2 columns, separated by semicolons. The first row has the names of the columns. The VINs are in “VIN”.",
    "1 row repeats a VIN. Each VIN is sent once.",
    "1 VIN had blanks, dashes, quotes or words around it, which were dropped.",
    "1 empty row was left out.",
    "1 check digit does not match. Outside North America this is often not a mistake.",
  ]);
});

describe("a file", () => {
  test("is read as UTF-8, as UTF-16 with its mark, or else as Windows' western text", () => {
    const utf16 = Buffer.from("\uFEFFMünchen", "utf16le");

    expect(decodeText(utf16)).toBe("München");
    expect(decodeText(utf16.swap16())).toBe("München");
    expect(decodeText(Buffer.from("München"))).toBe("München");
    expect(decodeText(Buffer.from("München", "latin1"))).toBe("München");
  });

  test("that is a workbook is not read as text", () => {
    expect(() => decodeText(Buffer.from("PK\u0003\u0004"))).toThrow("Save it as CSV");
  });
});
