import { expect, test } from "vitest";
import { filterGroups, groupRecord, variableOf } from "../../src/page/variables.ts";

const RECORD = {
  Manufacturer: "PACCAR INC",
  DisplacementL: "12.9",
  DisplacementCI: "787.21243433156",
  EngineCylinders: "6",
  BusType: "Not Applicable",
  MakeID: "444",
  NCSANote: "a note",
  HydrogenTankType: "III",
};

test("a record is grouped, with words and units, and ids for vPIC's own use apart", () => {
  const { groups, internal } = groupRecord(RECORD);

  expect(groups).toEqual([
    { title: "General", entries: [{ name: "Manufacturer", words: "Manufacturer", value: "PACCAR INC" }] },
    {
      title: "Engine",
      entries: [
        { name: "EngineCylinders", words: "Cylinders", value: "6" },
        {
          name: "DisplacementL, DisplacementCI",
          words: "Displacement",
          value: "12.9\u00a0liters · 787.2\u00a0cubic inches",
        },
      ],
    },
    { title: "Other", entries: [{ name: "HydrogenTankType", words: "Hydrogen tank type", value: "III" }] },
  ]);
  expect(internal.map(({ name }) => name)).toEqual(["MakeID", "NCSANote"]);
});

test("a value that is not a number keeps its unit as it is", () => {
  const { groups } = groupRecord({ BasePrice: "about 30" });

  expect(groups[0]?.entries[0]?.value).toBe("about 30\u00a0US dollars");
});

test("the filter searches groups, names, words and values, and every word must match", () => {
  const { groups } = groupRecord(RECORD);
  const valuesFor = (filter: string): string[] =>
    filterGroups(groups, filter).flatMap(({ entries }) => entries.map(({ words }) => words));

  expect(valuesFor("ENGINE liters")).toEqual(["Displacement"]);
  expect(valuesFor("paccar")).toEqual(["Manufacturer"]);
  expect(valuesFor("enginecylinders")).toEqual(["Cylinders"]);
  expect(valuesFor("nothing")).toEqual([]);
});

test("a name that is not in the table keeps its abbreviations", () => {
  expect(variableOf("RearABSType")).toEqual({ words: "Rear ABSType", unit: "" });
});

test.each(["__proto__", "constructor", "toString"])("a variable called %s is shown like any other", (name) => {
  const { groups } = groupRecord(Object.fromEntries([[name, "odd"]]));

  expect(groups).toEqual([{ title: "Other", entries: [{ name, words: expect.any(String), value: "odd" }] }]);
});
