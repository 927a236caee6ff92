import type { VehicleStore } from "../vehicle/vehicle.ts";

/** A store on an open database. Faults are thrown as the database's own errors. */
export interface OpenedStore extends VehicleStore, AsyncDisposable {
  /** @throws whatever keeps the database from answering. */
  ping(): Promise<void>;
  /** Closes the database and puts away what cannot be used any more, so that opening again makes a new one. */
  discard(): Promise<void>;
}
