import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { LookupResponseSchema } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { DecodeTableOptions } from "../../src/table/decode-table.ts";
import { decodeTable } from "../../src/table/decode-table.ts";
import type { Decoder } from "../../src/table/decode-table.ts";
import { chooseColumns } from "../../src/table/vehicle-columns.ts";
import { manyVins } from "../support/real-vins.ts";

type Queries = Parameters<Decoder["decode"]>[0];

/** A decoder that knows every VIN that does not begin with a space. */
class ScriptedDecoder implements Decoder {
  readonly queries: Queries[number][] = [];
  /** Called before each answer. */
  before: (queries: Queries) => Promise<void> = () => Promise.resolve();

  async decode(queries: Queries): ReturnType<Decoder["decode"]> {
    this.queries.push(...queries);
    await this.before(queries);
    return queries.map(({ vin }) =>
      vin.startsWith(" ")
        ? { fault: "it begins with a blank" }
        : { vehicle: create(LookupResponseSchema, { vin, make: `make of ${vin}`, attributes: { Doors: "2" } }) },
    );
  }

  remove(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function decode(cells: readonly (readonly unknown[])[], options: Partial<DecodeTableOptions> = {}) {
  const decoder = new ScriptedDecoder();
  const written: (readonly unknown[])[] = [];
  const work = decodeTable({
    rows: (async function* () {
      yield* cells.map((each) => ({ cells: each }));
    })(),
    vinColumn: 0,
    yearColumn: undefined,
    added: chooseColumns({ full: false, names: "make" }, []),
    decoder,
    signal: new AbortController().signal,
    write: async (rows) => {
      written.push(...rows);
    },
    onProgress: () => {},
    earlier: { rows: 0, failed: 0 },
    ...options,
  });
  return { counts: await work, written, queries: decoder.queries };
}

test("each row is written once, in the order of the input, with the user's cells first", async () => {
  const vins = manyVins(2_500);
  const decoder = new ScriptedDecoder();
  const firstHasWaited = Promise.withResolvers<void>();
  decoder.before = async (queries) => {
    // The first thousand rows are answered after the second thousand.
    if (queries[0]?.vin === vins[0]) {
      await firstHasWaited.promise;
    } else {
      firstHasWaited.resolve();
    }
  };

  const { counts, written } = await decode(
    vins.map((vin, index) => [vin, index]),
    { decoder },
  );

  expect(counts).toEqual({ rows: 2_500, failed: 0 });
  expect(written).toEqual(vins.map((vin, index) => [vin, index, `make of ${vin}`, ""]));
});

test("a row that fails keeps its cells and says why", async () => {
  const { counts, written } = await decode([["A"], [" B"], ["C"]]);

  expect(counts).toEqual({ rows: 3, failed: 1 });
  expect(written[1]).toEqual([" B", "", "it begins with a blank"]);
});

test("years are read as spreadsheets and Parquet write them", async () => {
  const { written, queries } = await decode(
    [
      ["A", "2014"],
      ["B", 2015n],
      ["C", "2016.0"],
      ["D", ""],
      ["E", null],
      ["F", "x"],
    ],
    {
      yearColumn: 1,
    },
  );

  expect(queries.map(({ modelYear }) => modelYear)).toEqual([2014, 2015, 2016, undefined, undefined]);
  expect(written[5]).toEqual(["F", "x", "", 'model_year: "x" is not a year']);
});

test("an interruption leaves whole chunks of rows without a gap", async () => {
  const vins = manyVins(5_000);
  const interruption = new AbortController();
  const written: (readonly unknown[])[] = [];

  const work = decode(
    vins.map((vin) => [vin]),
    {
      signal: interruption.signal,
      write: async (rows) => {
        written.push(...rows);
        interruption.abort(new Error("interrupted"));
      },
    },
  );

  await expect(work).rejects.toThrow("interrupted");
  expect(written.map(([vin]) => vin)).toEqual(vins.slice(0, 1_000));
});

test("a column whose name the user's table has already gets the prefix vpic_", () => {
  const { names } = chooseColumns({ full: false, names: "vin,make,Doors" }, ["vin", "error", "vpic_error"]);

  expect(names).toEqual(["vpic_vin", "make", "Doors", "vpic_vpic_error"]);
});

test("attributes are asked for only if a column needs them", () => {
  const needs = (full: boolean, names: string | undefined): boolean =>
    chooseColumns({ full, names }, []).needsAttributes;

  expect([needs(false, undefined), needs(false, "make"), needs(false, "Doors"), needs(true, undefined)]).toEqual([
    false,
    false,
    true,
    true,
  ]);
});
