import { ELEMENT } from "./elements.ts";
import type { Item } from "./item.ts";

/** Ids in NHTSA's look-up table BodyStyle. */
const GLIDERS: ReadonlySet<string> = new Set(["64"]);
const OFF_ROAD: ReadonlySet<string> = new Set(["69", "84", "86", "88", "97", "105", "113", "124", "126", "127"]);
const INCOMPLETE: ReadonlySet<string> = new Set([
  "62",
  "63",
  "64",
  "65",
  "67",
  "70",
  "71",
  "72",
  "74",
  "75",
  "76",
  "77",
  "78",
  "107",
  "112",
  "116",
]);

/** Vehicle type "Incomplete Vehicle" in NHTSA's table VehicleType. */
const INCOMPLETE_VEHICLE_TYPE = 10;

/** A glider kit is no motor vehicle. */
export function isGlider(items: readonly Item[]): boolean {
  return hasBodyClass(items, GLIDERS);
}

/** Made to be driven off the roads only; its number is no VIN. */
export function isOffRoad(items: readonly Item[]): boolean {
  return hasBodyClass(items, OFF_ROAD);
}

/** Sold for others to complete, so that the vehicle on the road may differ from what its VIN says. */
export function isIncomplete(items: readonly Item[], vehicleTypeId: number | null): boolean {
  return vehicleTypeId === INCOMPLETE_VEHICLE_TYPE || hasBodyClass(items, INCOMPLETE);
}

function hasBodyClass(items: readonly Item[], ids: ReadonlySet<string>): boolean {
  return items.some((item) => item.elementId === ELEMENT.bodyClass && ids.has(item.attributeId));
}
