import { collectCandidates } from "./candidates.ts";
import { comparePositions, NOT_COMPARED, type Comparison } from "./compared-positions.ts";
import { convert, evaluate, type Converted } from "./conversions.ts";
import { ELEMENT, ELEMENTS_ALSO_FROM_SPECS, type ErrorCode } from "./nhtsa-tables.ts";
import type { Make, SnapshotData, Wmi } from "./snapshot-data.ts";
import { hasPatterns, judge, type Findings, type Subject } from "./verdict.ts";
import { givenItem, pickWinners, type Item } from "./winners.ts";

/** One attempt at a VIN, for one year. */
export interface Attempt {
  /** Undefined when position 10 is not a year code. */
  readonly year: number | undefined;
  readonly isYearConclusive: boolean;
  readonly isYearContradicted: boolean;
}

/** The result of an attempt. */
export interface Pass {
  readonly findings: Findings;
  readonly conversions: readonly Converted[];
  readonly codes: readonly ErrorCode[];
  /** The sum of the weights of all variables found. */
  readonly weight: number;
  readonly patternCount: number;
}

/** Decodes a VIN for one year, as NHTSA's spVinDecode_Core does. */
export function decodePass(data: SnapshotData, subject: Subject, attempt: Attempt): Pass {
  const items = subject.wmi === undefined ? [] : collectItems(data, subject.vin, subject.wmi, attempt.year);
  const conversions = convert(items, data.conversions);
  const comparison = compare(data, subject, attempt, items);
  if (subject.wmi !== undefined) {
    addSpecs(data, subject.wmi, attempt.year, items, conversions);
    addDefaults(data, subject.wmi, items, conversions);
  }
  const findings = { subject, ...attempt, items, comparison };
  return { findings, conversions, codes: judge(findings), ...weigh(data, items, conversions) };
}

function collectItems(data: SnapshotData, vin: string, wmi: Wmi, year: number | undefined): Item[] {
  const items = pickWinners(collectCandidates(data, wmi, year, vin));
  const { makeId, make } = makeOf(data, wmi, items);
  if (wmi.vehicleTypeId !== 0) {
    items.push(givenItem(ELEMENT.vehicleType, String(wmi.vehicleTypeId), wmi.vehicleType));
  }
  const manufacturerId = wmi.manufacturerId === 0 ? "" : String(wmi.manufacturerId);
  items.push(givenItem(ELEMENT.manufacturer, manufacturerId, wmi.manufacturer));
  if (year !== undefined) {
    items.push(givenItem(ELEMENT.modelYear, String(year), String(year)));
  }
  if (makeId !== 0) {
    items.push(givenItem(ELEMENT.make, String(makeId), make));
  }
  return items;
}

/** The make of the model; without a model, the make of the identifier if it has only one. */
function makeOf(data: SnapshotData, wmi: Wmi, items: readonly Item[]): Make {
  const model = items.find((item) => item.elementId === ELEMENT.model);
  return model === undefined ? wmi : data.makeOf(Number(model.attributeId));
}

function compare(data: SnapshotData, { vin, wmi }: Subject, { year }: Attempt, items: readonly Item[]): Comparison {
  return data.isComplete && wmi !== undefined && hasPatterns(items)
    ? comparePositions(vin, data.validCharacters(wmi, year), items)
    : NOT_COMPARED;
}

/** Adds the values that NHTSA has for the make, model, type and year, where the VIN's own patterns give none. */
function addSpecs(
  data: SnapshotData,
  wmi: Wmi,
  year: number | undefined,
  items: Item[],
  conversions: readonly Converted[],
): void {
  const model = items.find((item) => item.elementId === ELEMENT.model);
  if (!data.isComplete || model === undefined) {
    return;
  }
  const modelId = Number(model.attributeId);
  const subject = { modelId, makeIds: data.makesOf(wmi), vehicleTypeId: wmi.vehicleTypeId, year };
  const hasValue = (elementId: number, attributeId: string): boolean =>
    items.some((item) => item.elementId === elementId && isSameText(item.attributeId, attributeId)) ||
    conversions.some((known) => known.elementId === elementId && isSameText(evaluate(known), attributeId));
  const known = new Set([...items, ...conversions].map(({ elementId }) => elementId));
  const specs = data.specsFor(subject, hasValue);
  items.push(...specs.filter(({ elementId }) => !known.has(elementId) || ELEMENTS_ALSO_FROM_SPECS.has(elementId)));
}

function isSameText(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function addDefaults(data: SnapshotData, wmi: Wmi, items: Item[], conversions: readonly Converted[]): void {
  for (const fallback of data.defaultsOf(wmi.vehicleTypeId)) {
    const isKnown = [...items, ...conversions].some(({ elementId }) => elementId === fallback.elementId);
    if (!isKnown) {
      items.push(fallback);
    }
  }
}

/** Notes have no weight, because there may be several. */
function weigh(
  data: SnapshotData,
  items: readonly Item[],
  conversions: readonly Converted[],
): Pick<Pass, "weight" | "patternCount"> {
  let weight = 0;
  let patternCount = 0;
  for (const { elementId, value, isPattern } of items) {
    weight += value === "" ? 0 : data.weightOf(elementId);
    patternCount += isPattern ? 1 : 0;
  }
  for (const { elementId } of conversions) {
    weight += data.weightOf(elementId);
  }
  return { weight, patternCount };
}
