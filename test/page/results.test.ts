import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Outcome } from "../../src/page/many/batch-run.ts";
import { orderRows } from "../../src/page/many/order.ts";
import { parseList } from "../../src/page/many/parse-list.ts";
import { readTable } from "../../src/page/many/read-table.ts";
import { toCsv, toJsonText, toTsv } from "../../src/page/many/results.ts";
import type { Query } from "../../src/page/query.ts";
import { manyVins } from "../support/real-vins.ts";

const [A = "", B = "", C = ""] = manyVins(3);
const LIST = parseList(`Unit,VIN,Note\n7,${A},"big, red"\n8,${B},=1+1\n9,${C},\n10,soon,`);

function vehicleOf(vin: string, make: string, codes = [0]): Outcome {
  const vehicle = create(LookupResponseSchema, {
    vin,
    make,
    model: "=cmd()",
    modelYear: "2014",
    source: Source.SNAPSHOT,
    dataDate: "2026-02-17",
    verdict: { codes, text: "0 - clean; really" },
  });
  return { state: "vehicle", vehicle };
}

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  [A]: vehicleOf(A, "VOLVO", [0, 14]),
  [B]: vehicleOf(B, "FORD", [1]),
  [C]: { state: "failed", sentence: "Not known.", likelyVin: A, isTransient: false },
};

function outcomeOf({ vin }: Query): Outcome {
  return OUTCOMES[vin] ?? { state: "waiting" };
}

test("the CSV has the user's own columns and cells, and then the vehicle", () => {
  const csv = toCsv(LIST, outcomeOf);
  const records = readTable(csv.replace("\uFEFF", "").trimEnd(), ",").map(({ cells }) => cells);

  expect(csv.startsWith("\uFEFF")).toBe(true);
  expect(records[0]).toEqual(
    "Unit,VIN,Note,Make,Model,Model year,Body class,Verdict codes,Verdict,Suggested VIN,Likely VIN,Source,Data date,Stale,Decoded,Error".split(
      ",",
    ),
  );
  expect(records[1]?.slice(0, 9)).toEqual([
    "7",
    A,
    "big, red",
    "VOLVO",
    "'=cmd()",
    "2014",
    "",
    "0 14",
    "0 - clean; really",
  ]);
  expect(records[2]?.slice(0, 4)).toEqual(["8", B, "=1+1", "FORD"]);
  expect([records[3]?.[10], records[3]?.at(-1)]).toEqual([A, "Not known."]);
  expect(records[4]?.at(-1)).toMatch(/this has 4/);
});

test("columns of the user that have a name of ours, or the same name twice, are all kept", () => {
  const list = parseList(`VIN,Make,Note,Note\n${A},mine,one,two`);
  const [head = "", row = ""] = toCsv(list, outcomeOf).replace("\uFEFF", "").split("\r\n");
  const [object]: unknown[] = JSON.parse(toJsonText(list, outcomeOf));

  expect(head).toMatch(/^VIN,Make,Note,Note,vPIC Make,Model,/);
  expect(row).toContain(`${A},mine,one,two,VOLVO`);
  expect(object).toMatchObject({ row: { Make: "mine", Note: "one", "Note 2": "two" } });
});

test("the text for a spreadsheet has one line for each row", () => {
  const lines = toTsv(LIST, outcomeOf).split("\n");

  expect(lines).toHaveLength(5);
  expect(lines[1]?.split("\t").slice(0, 4)).toEqual(["7", A, "big, red", "VOLVO"]);
});

test("the JSON has the user's own row beside the vehicle or the error", () => {
  const rows: unknown = JSON.parse(toJsonText(LIST, outcomeOf));

  expect(rows).toMatchObject([
    { line: 2, row: { Unit: "7", VIN: A }, vehicle: { vin: A, make: "VOLVO", source: "SOURCE_SNAPSHOT" } },
    { line: 3, vehicle: { make: "FORD" } },
    { line: 4, error: "Not known." },
    { line: 5, row: { VIN: "soon" }, error: expect.stringContaining("17 characters") },
  ]);
});

test("rows are sorted by a column, with unknown values last", () => {
  const by = (key: "line" | "vehicle" | "state", isDescending = false): number[] =>
    orderRows(LIST, outcomeOf, { key, isDescending }, false);

  expect(by("vehicle")).toEqual([1, 0, 2, 3]);
  expect(by("vehicle", true)).toEqual([0, 1, 2, 3]);
  expect(by("line", true)).toEqual([3, 2, 1, 0]);
  expect(by("state")).toEqual([2, 3, 1, 0]);
});

test("problems are failures and vehicles that were not decoded clean", () => {
  expect(orderRows(LIST, outcomeOf, { key: "line", isDescending: false }, true)).toEqual([1, 2, 3]);
});
