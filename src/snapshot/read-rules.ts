import type Database from "better-sqlite3";
import type { Labels } from "./elements.ts";
import {
  DEFAULTS,
  ERROR_CODES,
  EXCEPTED_VINS,
  NOT_APPLICABLE,
  YEAR_OF_DESCRIPTOR,
  type ErrorMeaning,
} from "./nhtsa-tables.ts";
import type { SnapshotContent } from "./snapshot-content.ts";
import { givenItem, type Item } from "./winners.ts";

/** NHTSA's rules other than patterns. */
type Rules = Pick<SnapshotContent, "defaults" | "descriptors" | "exceptedVins" | "errorCodes">;

/** In NHTSA's tables, 0 stands for a look-up table's value that does not apply. */
const NO_ROW = "0";

/**
 * Reads the tables that only NHTSA's monthly file has.
 *
 * @param labels see readLabels.
 * @param withLookup the variables that have a look-up table.
 */
export function readRules(
  source: Database.Database,
  labels: ReadonlyMap<number, Labels>,
  withLookup: ReadonlySet<number>,
): Rules {
  const descriptors = source
    .prepare<[], [string, number]>("SELECT Descriptor, ModelYear FROM VinDescriptor")
    .raw()
    .all();
  const exceptedVins = source.prepare<[], string>("SELECT VIN FROM VinException WHERE CheckDigit = 1").pluck().all();
  return {
    defaults: readDefaults(source, labels, withLookup),
    descriptors: new Map(descriptors),
    exceptedVins: new Set(exceptedVins),
    errorCodes: readErrorCodes(source),
  };
}

/** The rules for a database that lacks these tables. */
export function embeddedRules(labels: ReadonlyMap<number, Labels>): Rules {
  const defaults = Object.entries(DEFAULTS).map(([vehicleTypeId, values]): [number, Item[]] => [
    Number(vehicleTypeId),
    values.map(({ elementId, attributeId, value }) =>
      givenItem(elementId, attributeId, value ?? labels.get(elementId)?.get(attributeId) ?? attributeId),
    ),
  ]);
  return {
    defaults: new Map(defaults),
    descriptors: YEAR_OF_DESCRIPTOR,
    exceptedVins: EXCEPTED_VINS,
    errorCodes: ERROR_CODES,
  };
}

function readDefaults(
  source: Database.Database,
  labels: ReadonlyMap<number, Labels>,
  withLookup: ReadonlySet<number>,
): Map<number, Item[]> {
  const rows = source
    .prepare<[], [vehicleTypeId: number, elementId: number, attributeId: string]>(`
      SELECT VehicleTypeId, ElementId, DefaultValue FROM DefaultValue WHERE DefaultValue IS NOT NULL ORDER BY Id`)
    .raw()
    .all();
  const defaults = new Map<number, Item[]>();
  for (const [vehicleTypeId, elementId, attributeId] of rows.filter(([, elementId]) => labels.has(elementId))) {
    const isNotApplicable = attributeId === NO_ROW && withLookup.has(elementId);
    const value = isNotApplicable ? NOT_APPLICABLE : (labels.get(elementId)?.get(attributeId) ?? attributeId);
    defaults.set(vehicleTypeId, [...(defaults.get(vehicleTypeId) ?? []), givenItem(elementId, attributeId, value)]);
  }
  return defaults;
}

function readErrorCodes(source: Database.Database): Map<number, ErrorMeaning> {
  const rows = source
    .prepare<[], [id: number, text: string, additionalText: string | null, weight: number | null]>(
      "SELECT Id, Name, AdditionalErrorText, weight FROM ErrorCode",
    )
    .raw()
    .all();
  return new Map(
    rows.map(([id, text, additionalText, weight]) => [
      id,
      { text: text.trim(), weight: weight ?? 0, ...(additionalText === null ? {} : { additionalText }) },
    ]),
  );
}
