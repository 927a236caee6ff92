/** The columns of a VehicleRow, in its order. */
export const VEHICLE_ROW_COLUMNS =
  "vin, make, model, model_year, body_class, source, decoded_at, verdict_codes, attributes";
