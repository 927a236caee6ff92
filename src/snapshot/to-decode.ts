import type { Decode, VehicleQuery } from "../vehicle/vehicle.ts";
import { evaluate } from "./conversions.ts";
import type { Pass } from "./decode-pass.ts";
import { ELEMENT, ELEMENTS_ALSO_FROM_SPECS, NOT_APPLICABLE } from "./nhtsa-tables.ts";
import type { SnapshotData } from "./snapshot-data.ts";
import { toVerdict } from "./verdict.ts";
import { descriptorOf } from "./vin-characters.ts";
import type { Item } from "./winners.ts";

/** Ids that the flat answer has in addition to names. */
const ID_NAMES: Readonly<Record<number, string>> = {
  [ELEMENT.make]: "MakeID",
  [ELEMENT.manufacturer]: "ManufacturerId",
  [ELEMENT.model]: "ModelID",
};
/** These are separate members of a vehicle. */
const MEMBERS: ReadonlySet<number> = new Set([ELEMENT.make, ELEMENT.model, ELEMENT.modelYear, ELEMENT.bodyClass]);
/** Wrong more often than right: the embedded data has them only by engine family. */
const UNRELIABLE: ReadonlySet<number> = new Set([ELEMENT.engineHp, ELEMENT.engineHpTo, ELEMENT.engineKw]);
const LEFT_OUT_OF_EMBEDDED_DATA: ReadonlySet<number> = new Set([...MEMBERS, ...UNRELIABLE]);

/** Converts the best pass into a decode. */
export function toDecode(data: SnapshotData, query: VehicleQuery, pass: Pass, decodedAt: number): Decode {
  const { items } = pass.findings;
  return {
    vin: query.vin,
    make: valueOf(items, ELEMENT.make),
    model: valueOf(items, ELEMENT.model),
    modelYear: valueOf(items, ELEMENT.modelYear),
    bodyClass: valueOf(items, ELEMENT.bodyClass),
    source: "snapshot",
    decodedAt,
    dataDate: data.dataDate,
    verdict: toVerdict(data, pass.codes, pass.findings),
    attributes: toAttributes(data, query.vin, pass),
  };
}

function toAttributes(data: SnapshotData, vin: string, { findings, conversions }: Pass): Record<string, string> {
  const attributes: Record<string, string> = {};
  const leftOut = data.isComplete ? MEMBERS : LEFT_OUT_OF_EMBEDDED_DATA;
  const notes = new Set<string>();
  for (const item of findings.items) {
    const { elementId, attributeId, value } = item;
    const idName = ID_NAMES[elementId];
    if (idName !== undefined && attributeId !== "") {
      attributes[idName] = attributeId;
    }
    const name = leftOut.has(elementId) ? undefined : data.nameOf(elementId);
    if (name === undefined || value === "" || value === NOT_APPLICABLE) {
      continue;
    }
    if (!ELEMENTS_ALSO_FROM_SPECS.has(elementId)) {
      attributes[name] = value;
      continue;
    }
    // Several patterns often have the same note.
    const note = `${name} ${value}`;
    const earlier = attributes[name];
    if (!notes.has(note)) {
      notes.add(note);
      attributes[name] = earlier === undefined ? value : `${earlier}, ${value}`;
    }
  }
  for (const converted of conversions) {
    const name = data.nameOf(converted.elementId);
    if ((data.isComplete || converted.isExact) && name !== undefined) {
      attributes[name] = evaluate(converted);
    }
  }
  attributes["VehicleDescriptor"] = descriptorOf(vin);
  return attributes;
}

function valueOf(items: readonly Item[], elementId: number): string {
  return items.find((item) => item.elementId === elementId)?.value ?? "";
}
