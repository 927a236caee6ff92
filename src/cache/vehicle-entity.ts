import { defineEntity, type InferEntity, p, UnderscoreNamingStrategy } from "@mikro-orm/core";

/**
 * A decode, stored under its key. The largest column comes last, so that a read of the others stops before it.
 *
 * The index is for sweeping: each class of entries has its own maximum age.
 */
export const VehicleEntity = defineEntity({
  name: "Vehicle",
  tableName: "vehicles",
  indexes: [{ name: "vehicles_age", properties: ["source", "isNegative", "decodedAt"] }],
  properties: {
    vin: p.text().primary(),
    /** 0 when the caller gave no model year. */
    modelYearHint: p.integer().primary(),
    make: p.text(),
    model: p.text(),
    modelYear: p.text(),
    bodyClass: p.text(),
    /** `vpic` or `snapshot`. */
    source: p.text(),
    /** 1 when the source knew neither make, model nor year, otherwise 0. */
    isNegative: p.integer(),
    /** In ms since the epoch. */
    decodedAt: p.bigint("number"),
    /** vPIC's error codes, joined by commas. */
    verdictCodes: p.text(),
    verdictText: p.text(),
    suggestedVin: p.text(),
    possibleValues: p.text(),
    additionalText: p.text(),
    /** Null when there is none, and in rows of version 0.1.0. */
    likelyVin: p.text().nullable(),
    /** Null unless the source is `snapshot`, and in rows of version 0.1.0. */
    dataDate: p.text().nullable(),
    /** A JSON object of strings. */
    attributes: p.text(),
  },
});

/**
 * A VIN that was removed recently. `generation` grows with every removal, which distinguishes decodes that began before
 * it from those that began after. The row of the empty VIN has the generation of all VINs without a row.
 */
export const RemovalEntity = defineEntity({
  name: "VehicleRemoval",
  tableName: "vehicle_removals",
  properties: {
    vin: p.text().primary(),
    generation: p.bigint("number"),
    /** In ms since the epoch. */
    removedAt: p.bigint("number"),
  },
});

/** vPIC's budget, in a single row. Times are those of the database, in us since the epoch. */
export const BudgetEntity = defineEntity({
  name: "FleetBudget",
  tableName: "fleet_budget",
  properties: {
    id: p.integer().primary().autoincrement(false),
    /** When the budget is full again. Each request moves it by the time between two requests. */
    spentUntil: p.bigint("number"),
    /** When the next probe of vPIC is allowed. */
    probeAt: p.bigint("number"),
  },
});

/** A VIN that a process asks vPIC for. */
export const LeaseEntity = defineEntity({
  name: "FleetLease",
  tableName: "fleet_leases",
  properties: {
    vin: p.text().primary(),
    holder: p.text(),
    /** In us since the epoch. */
    expiresAt: p.bigint("number"),
  },
});

/** A process that used vPIC's budget lately. */
export const MemberEntity = defineEntity({
  name: "FleetMember",
  tableName: "fleet_members",
  properties: {
    id: p.text().primary(),
    /** In us since the epoch. */
    seenAt: p.bigint("number"),
  },
});

/** The entity's properties, each a column. */
export type VehicleProperty = Exclude<keyof InferEntity<typeof VehicleEntity>, symbol>;

/** The name of a column in the database. */
export type VehicleColumn = Underscored<VehicleProperty>;

type Underscored<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Underscored<Rest>}`
  : "";

const NAMING = new UnderscoreNamingStrategy();

/** The properties in the table's order. */
export const PROPERTIES: readonly VehicleProperty[] = Object.keys(VehicleEntity.meta.properties).filter(isProperty);

/** The name of a property's column. */
export function columnOf(property: VehicleProperty): string {
  return NAMING.propertyToColumnName(property);
}

function isProperty(name: string): name is VehicleProperty {
  return name in VehicleEntity.meta.properties;
}
