import { collectCandidates } from "./candidates.ts";
import { convert } from "./conversions.ts";
import type { Item } from "./item.ts";
import { DEFAULTS, ELEMENT, NOT_APPLICABLE, type ErrorCode } from "./nhtsa-tables.ts";
import { judge, type Findings } from "./verdict.ts";
import { patternKeyOf } from "./vin-parts.ts";
import type { VpicData, Wmi } from "./vpic-data.ts";
import { pickWinners } from "./winners.ts";

/** One attempt at a VIN: what to take its year for. */
export interface Attempt {
  readonly vin: string;
  /** Undefined when NHTSA does not know the identifier, or not publicly yet. */
  readonly wmi: Wmi | undefined;
  readonly isLightVehicle: boolean;
  /** Undefined when position 10 names none. */
  readonly year: number | undefined;
  readonly isYearConclusive: boolean;
  readonly isYearContradicted: boolean;
}

/** What an attempt has found. */
export interface Pass {
  readonly findings: Findings;
  readonly codes: readonly ErrorCode[];
  readonly score: Score;
}

/** How much a pass has found: the weights of its variables, its patterns, and its year. */
type Score = readonly [elements: number, patterns: number, year: number];

/** Decodes a VIN for one year, as NHTSA's spVinDecode_Core does. */
export function decodePass(data: VpicData, attempt: Attempt): Pass {
  const { wmi } = attempt;
  const items = wmi === undefined ? [] : collectItems(data, wmi, attempt);
  const findings: Findings = {
    vin: attempt.vin,
    year: attempt.year,
    isYearConclusive: attempt.isYearConclusive,
    isYearContradicted: attempt.isYearContradicted,
    isLightVehicle: attempt.isLightVehicle,
    isWmiKnown: wmi !== undefined,
    vehicleTypeId: wmi?.vehicleTypeId ?? null,
    items,
  };
  const codes = judge(findings);
  return { findings, codes, score: scoreOf(data, items, attempt.year) };
}

function collectItems(data: VpicData, wmi: Wmi, attempt: Attempt): Item[] {
  const candidates = collectCandidates(data, wmi, attempt.year, patternKeyOf(attempt.vin));
  const items = pickWinners(candidates);
  items.push(...wmiItems(wmi), ...yearItems(attempt.year));
  items.push(...makeItems(data, wmi, items));
  items.push(...convert(items, data.conversions));
  const known = new Set(items.map((item) => item.elementId));
  for (const fallback of DEFAULTS[wmi.vehicleTypeId ?? 0] ?? []) {
    if (!known.has(fallback.elementId)) {
      items.push(givenItem(fallback.elementId, fallback.attributeId, fallback.value));
    }
  }
  return items;
}

function wmiItems(wmi: Wmi): Item[] {
  const items: Item[] = [];
  if (wmi.vehicleTypeId !== null) {
    items.push(givenItem(ELEMENT.vehicleType, String(wmi.vehicleTypeId), upper(wmi.vehicleType)));
  }
  items.push(givenItem(ELEMENT.manufacturer, String(wmi.manufacturerId ?? ""), upper(wmi.manufacturer)));
  return items;
}

function yearItems(year: number | undefined): Item[] {
  return year === undefined ? [] : [givenItem(ELEMENT.modelYear, String(year), String(year))];
}

/** The make is the model's; without a model it is the identifier's, if that has only one. */
function makeItems(data: VpicData, wmi: Wmi, items: readonly Item[]): Item[] {
  const model = items.find((item) => item.elementId === ELEMENT.model);
  const { makeId, make } = model === undefined ? wmi : (data.model(model.attributeId) ?? { makeId: null, make: null });
  return makeId === null
    ? []
    : [{ ...givenItem(ELEMENT.make, String(makeId), upper(make)), isFromPattern: model !== undefined }];
}

function givenItem(elementId: number, attributeId: string, value: string | undefined): Item {
  return {
    elementId,
    attributeId,
    value,
    isFromPattern: false,
    isCountedPattern: false,
    priority: 100,
    changedOn: "",
    keys: "",
  };
}

function upper(name: string | null): string {
  return (name ?? "").toUpperCase();
}

function scoreOf(data: VpicData, items: readonly Item[], year: number | undefined): Score {
  const known = new Set(items.filter((item) => item.value !== "").map((item) => item.elementId));
  let elements = 0;
  for (const elementId of known) {
    elements += data.weightOf(elementId);
  }
  const patterns = items.filter(
    (item) => item.isCountedPattern && item.value !== "" && item.value !== NOT_APPLICABLE,
  ).length;
  return [elements, patterns, year ?? 0];
}
