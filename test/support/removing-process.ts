/**
 * Puts and removes vehicles in a SQLite file until it is killed: `node removing-process.ts <database URL> <first VIN>`.
 * Prints each VIN when its removal has been acknowledged.
 */
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { silentLogger } from "./silent-logger.ts";
import { decodeOf, someVins, store } from "./vehicle-samples.ts";

const [, , databaseUrl = "", firstVin = "0"] = process.argv;
const vehicles = await openVehicleStore({ databaseUrl, logger: silentLogger });
for (const vin of someVins(20_000).slice(Number(firstVin))) {
  await store(vehicles, { vin }, decodeOf(vin));
  await vehicles.remove(vin);
  process.stdout.write(`${vin}\n`);
}
