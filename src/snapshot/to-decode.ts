import type { Decode, VehicleQuery } from "../vehicle/vehicle.ts";
import type { Pass } from "./decode-pass.ts";
import type { Item } from "./item.ts";
import { ELEMENT, NOT_APPLICABLE } from "./nhtsa-tables.ts";
import { toVerdict } from "./verdict.ts";
import { descriptorOf } from "./vin-parts.ts";
import type { VpicData } from "./vpic-data.ts";

/** In the flat answer beside the names that they belong to. */
const ID_NAMES: Readonly<Record<number, string>> = {
  [ELEMENT.make]: "MakeID",
  [ELEMENT.manufacturer]: "ManufacturerId",
  [ELEMENT.model]: "ModelID",
};
/** Members of a vehicle of their own. */
const NOT_ATTRIBUTES: ReadonlySet<number> = new Set([
  ELEMENT.make,
  ELEMENT.model,
  ELEMENT.modelYear,
  ELEMENT.bodyClass,
]);
/** Wrong more often than right: the embedded data has them by engine family only. */
const NOT_KNOWABLE: ReadonlySet<number> = new Set([ELEMENT.engineHp, ELEMENT.engineKw]);
const LINE_BREAKS = /[\t\r\n]/g;

/** The best pass as the domain sees it, with look-up ids replaced by their names. */
export function toDecode(data: VpicData, query: VehicleQuery, pass: Pass, decodedAt: number): Decode {
  const { items } = pass.findings;
  return {
    vin: query.vin,
    make: valueOf(data, items, ELEMENT.make),
    model: valueOf(data, items, ELEMENT.model),
    modelYear: valueOf(data, items, ELEMENT.modelYear),
    bodyClass: valueOf(data, items, ELEMENT.bodyClass),
    source: "snapshot",
    decodedAt,
    dataDate: data.dataDate,
    verdict: toVerdict(pass.codes, pass.findings),
    attributes: toAttributes(data, query.vin, items),
  };
}

function toAttributes(data: VpicData, vin: string, items: readonly Item[]): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const item of withoutRepetition(items)) {
    const idName = ID_NAMES[item.elementId];
    if (idName !== undefined && item.attributeId !== "") {
      attributes[idName] = item.attributeId;
    }
    const name = data.nameOf(item.elementId);
    const value = printed(data, item);
    if (name === undefined || isLeftOut(item) || value === "" || value === NOT_APPLICABLE) {
      continue;
    }
    const earlier = attributes[name];
    attributes[name] = earlier === undefined ? value : `${earlier}, ${value}`;
  }
  attributes["VehicleDescriptor"] = descriptorOf(vin);
  return attributes;
}

function isLeftOut({ elementId, isInexact = false }: Item): boolean {
  return isInexact || NOT_ATTRIBUTES.has(elementId) || NOT_KNOWABLE.has(elementId);
}

/** Several patterns often carry the same note. */
function withoutRepetition(items: readonly Item[]): Item[] {
  return [...new Map(items.map((item) => [`${item.elementId} ${item.attributeId}`, item])).values()];
}

function valueOf(data: VpicData, items: readonly Item[], elementId: number): string {
  const item = items.find((item) => item.elementId === elementId);
  return item === undefined ? "" : printed(data, item);
}

function printed(data: VpicData, item: Item): string {
  const value = item.value ?? nameOf(data, item);
  return value.replaceAll(LINE_BREAKS, " ").trim();
}

function nameOf(data: VpicData, item: Item): string {
  return item.elementId === ELEMENT.model
    ? (data.model(item.attributeId)?.name ?? item.attributeId)
    : data.valueOf(item.elementId, item.attributeId);
}
