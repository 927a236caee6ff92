import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { buildSnapshot } from "../../src/snapshot/build-snapshot.ts";
import type { SnapshotContent } from "../../src/snapshot/snapshot-content.ts";
import { bundledSourcePath } from "../../src/snapshot/source-file.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

/** The look-up tables of the variables for which the bundled data has values, by the variables' ids. */
const TABLES: Readonly<Record<number, string>> = {
  2: "BatteryType",
  5: "BodyStyle",
  24: "FuelType",
  25: "GrossVehicleWeightRating",
  42: "BrakeSystem",
  62: "ValvetrainDesign",
  64: "EngineConfiguration",
  66: "FuelType",
  67: "FuelDeliveryType",
  75: "Country",
  122: "CoolingType",
  127: "ChargerLevel",
  135: "Turbo",
  190: "GrossVehicleWeightRating",
};

/** Its values are names of another table, which is too large to list here. */
const MODEL = 28;
/** "Not applicable" has no row in any table. */
const NOT_A_ROW = "0";
const LINE_BREAKS = /[\t\r\n]/g;

let content: Omit<SnapshotContent, "patterns">;
/** NHTSA's names of August 2026, by table and id. */
let labels: ReadonlyMap<string, string>;

beforeAll(async () => {
  await using directory = await makeTemporaryDirectory();
  const path = join(directory.path, "vpic.db");
  await writeFile(path, gunzipSync(await readFile(bundledSourcePath())));
  content = buildSnapshot(path, () => undefined);
  labels = await readLabels();
});

describe("the current name", () => {
  test.each(Object.entries(TABLES))("has every value of variable %s, from %s", (elementId, table) => {
    const values = valuesOf(Number(elementId));

    const expected = values.map(({ id }) => ({ id, value: labels.get(`${table} ${id}`) }));

    expect(values.length).toBeGreaterThan(0);
    expect(values).toEqual(expected);
  });

  test("has every vehicle type", () => {
    const found = new Set(Array.from(content.wmis.vehicleType, (place) => content.texts[place]));
    const expected = [...labels].flatMap(([key, label]) => (key.startsWith("VehicleType ") ? label.toUpperCase() : []));

    expect(new Set([...found].filter((name) => name !== ""))).toEqual(new Set(expected));
  });

  test("is used for all variables with a look-up table", () => {
    const known = new Set([...Object.keys(TABLES), MODEL].map(Number));
    const others = new Set(content.attributes.elementId).difference(known);

    const renamed = [...others].filter((elementId) =>
      valuesOf(elementId).some(({ id, value }) => id.replaceAll(LINE_BREAKS, " ").trim() !== value),
    );

    expect(renamed).toEqual([]);
  });
});

function valuesOf(elementId: number): { id: string; value: string | undefined }[] {
  const { attributes, texts } = content;
  return Array.from(attributes.elementId.entries())
    .filter(([, element]) => element === elementId)
    .map(([place]) => ({
      id: texts[attributes.id[place] ?? 0] ?? "",
      value: texts[attributes.value[place] ?? 0],
    }))
    .filter(({ id }) => id !== NOT_A_ROW);
}

async function readLabels(): Promise<Map<string, string>> {
  const text = await readFile(new URL("./labels.tsv", import.meta.url), "utf8");
  const [, ...lines] = text.trimEnd().split("\n");
  return new Map(
    lines.map((line) => {
      const [table = "", id = "", label = ""] = line.split("\t");
      return [`${table} ${id}`, label] as const;
    }),
  );
}
