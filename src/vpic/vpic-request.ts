import type { VehicleQuery } from "../vehicle/vehicle.ts";

/** A request to vPIC, as undici takes it. */
export interface VpicRequest {
  readonly method: "GET" | "POST";
  /** With the query, without the origin. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** The largest answer that is read, in bytes. */
  readonly maxBytes: number;
}

const MAX_BYTES = 1024 * 1024;
const MAX_BATCH_BYTES = 8 * MAX_BYTES;

/**
 * Says how to ask vPIC: one VIN with a GET, several with the batch's POST.
 *
 * @param basePath the path of the API's address, without a final slash.
 */
export function toVpicRequest(basePath: string, queries: readonly VehicleQuery[]): VpicRequest {
  const [first, ...others] = queries;
  return first !== undefined && others.length === 0 ? toGet(basePath, first) : toBatch(basePath, queries);
}

function toGet(basePath: string, query: VehicleQuery): VpicRequest {
  const parameters = new URLSearchParams({ format: "json" });
  if (query.modelYear !== undefined) {
    parameters.set("modelyear", String(query.modelYear));
  }
  return {
    method: "GET",
    path: `${basePath}/vehicles/DecodeVinValues/${encodeURIComponent(query.vin)}?${parameters.toString()}`,
    headers: {},
    body: null,
    maxBytes: MAX_BYTES,
  };
}

function toBatch(basePath: string, queries: readonly VehicleQuery[]): VpicRequest {
  const items = queries.map(({ vin, modelYear }) => (modelYear === undefined ? vin : `${vin},${modelYear}`));
  return {
    method: "POST",
    path: `${basePath}/vehicles/DecodeVINValuesBatch/`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    // The format belongs into the body: in the query, vPIC ignores it and answers with XML.
    body: new URLSearchParams({ format: "json", data: items.join(";") }).toString(),
    maxBytes: MAX_BATCH_BYTES,
  };
}
