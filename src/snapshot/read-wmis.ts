import type Database from "better-sqlite3";
import { printed, type Texts } from "./attributes.ts";
import { currentLabel } from "./elements.ts";
import type { SnapshotContent } from "./snapshot-content.ts";

const OPEN_END = 2999;

interface SourceWmi {
  readonly id: number;
  readonly code: string;
  readonly availableOn: number | null;
  readonly vehicleTypeId: number | null;
  readonly vehicleType: string | null;
  readonly truckTypeId: number | null;
  readonly manufacturerId: number | null;
  readonly manufacturer: string | null;
  readonly makeId: number | null;
  readonly make: string | null;
}

/** The identifiers, their links to schemas, and the indexes of these schemas, in the order of their ids. */
export function readWmis(
  source: Database.Database,
  texts: Texts,
): Pick<SnapshotContent, "wmis" | "wmiMakes" | "links"> & { schemaPlaces: Map<number, number> } {
  const rows = source
    .prepare<[], SourceWmi>(`
      SELECT w.Id AS id, w.Wmi AS code, unixepoch(w.PublicAvailabilityDate, 'subsec') * 1000 AS availableOn,
        t.Id AS vehicleTypeId, t.Name AS vehicleType, w.TruckTypeId AS truckTypeId,
        f.Id AS manufacturerId, f.Name AS manufacturer, m.Id AS makeId, m.Name AS make
      FROM Wmi w
      LEFT JOIN VehicleType t ON t.Id = w.VehicleTypeId
      LEFT JOIN Manufacturer f ON f.Id = w.ManufacturerId
      LEFT JOIN (
        SELECT wm.WmiId, min(wm.MakeId) AS MakeId FROM Wmi_Make wm JOIN Make ON Make.Id = wm.MakeId
        GROUP BY wm.WmiId HAVING count(*) = 1
      ) AS sole ON sole.WmiId = w.Id
      LEFT JOIN Make m ON m.Id = sole.MakeId
      ORDER BY w.Id`)
    .all();
  const upper = (name: string | null): number => texts.placeOf(printed((name ?? "").toUpperCase()));
  const vehicleType = (name: string | null): number => upper(name === null ? null : currentLabel("VehicleType", name));
  const ids = rows.map(({ id }) => id);
  const { schemaPlaces, start, ...links } = readLinks(source, ids);
  const makes = readMakes(source, new Set(ids));
  const wmis = {
    code: rows.map(({ code }) => code),
    availableOn: Float64Array.from(rows, (row) => row.availableOn ?? Number.NaN),
    vehicleTypeId: Uint8Array.from(rows, (row) => row.vehicleTypeId ?? 0),
    vehicleType: Uint32Array.from(rows, (row) => vehicleType(row.vehicleType)),
    truckTypeId: Uint8Array.from(rows, (row) => row.truckTypeId ?? 0),
    manufacturerId: Uint32Array.from(rows, (row) => row.manufacturerId ?? 0),
    manufacturer: Uint32Array.from(rows, (row) => upper(row.manufacturer)),
    makeId: Uint32Array.from(rows, (row) => row.makeId ?? 0),
    make: Uint32Array.from(rows, (row) => upper(row.make)),
    linkStart: start,
    makeStart: startsOf(
      ids,
      makes.map(([wmiId]) => wmiId),
    ),
  };
  return { wmis, wmiMakes: Uint32Array.from(makes, ([, makeId]) => makeId), links, schemaPlaces };
}

/** All makes of each identifier. */
function readMakes(source: Database.Database, wmiIds: ReadonlySet<number>): [wmiId: number, makeId: number][] {
  return source
    .prepare<[], [number, number]>("SELECT DISTINCT WmiId, MakeId FROM Wmi_Make ORDER BY WmiId, MakeId")
    .raw()
    .all()
    .filter(([wmiId]) => wmiIds.has(wmiId));
}

function readLinks(
  source: Database.Database,
  wmiIds: readonly number[],
): SnapshotContent["links"] & { start: Uint32Array; schemaPlaces: Map<number, number> } {
  const rows = source
    .prepare<[], readonly [wmiId: number, schemaId: number, yearFrom: number, yearTo: number]>(`
      SELECT l.WmiId, l.VinSchemaId, coalesce(l.YearFrom, 0), coalesce(l.YearTo, ${OPEN_END})
      FROM Wmi_VinSchema l JOIN VinSchema s ON s.Id = l.VinSchemaId ORDER BY l.WmiId, 3, 4, l.Id`)
    .raw()
    .all();
  const schemaIds = [...new Set(rows.map(([, schemaId]) => schemaId))].toSorted((a, b) => a - b);
  const schemaPlaces = new Map(schemaIds.map((id, place) => [id, place]));
  const known = new Set(wmiIds);
  const links = rows.filter(([wmiId]) => known.has(wmiId));
  return {
    start: startsOf(
      wmiIds,
      links.map(([wmiId]) => wmiId),
    ),
    schema: Uint32Array.from(links, ([, schemaId]) => schemaPlaces.get(schemaId) ?? 0),
    yearFrom: Uint16Array.from(links, ([, , yearFrom]) => yearFrom),
    yearTo: Uint16Array.from(links, ([, , , yearTo]) => yearTo),
    schemaPlaces,
  };
}

/**
 * The start of each owner's rows, and the end of the last. Both lists must be ascending, and every row must have an
 * owner.
 */
export function startsOf(owners: Iterable<number>, rowOwners: ArrayLike<number>): Uint32Array {
  const starts: number[] = [];
  let row = 0;
  for (const owner of owners) {
    starts.push(row);
    while (rowOwners[row] === owner) {
      row++;
    }
  }
  return Uint32Array.from([...starts, row]);
}
