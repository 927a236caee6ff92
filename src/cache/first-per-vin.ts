import type { VehicleRow } from "./vehicle-rows.ts";

/** Drops every row whose VIN the row before it had, also across batches. Rows must come in VIN order. */
export class FirstPerVin {
  #last: string | undefined;

  take(rows: readonly VehicleRow[]): readonly VehicleRow[] {
    return rows.filter(([vin]) => {
      const isFirst = vin !== this.#last;
      this.#last = vin;
      return isFirst;
    });
  }
}
