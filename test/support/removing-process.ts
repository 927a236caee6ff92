/**
 * Puts and removes vehicles in a SQLite file, many at once, until it is killed:
 * `node removing-process.ts <database URL> <first VIN>`. Prints each VIN when its removal has been acknowledged.
 */
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { silentLogger } from "./silent-logger.ts";
import { decodeOf, someVins } from "./vehicle-samples.ts";

const AT_ONCE = 40;

const [, , databaseUrl = "", firstVin = "0"] = process.argv;
const vehicles = await openVehicleStore({ databaseUrl, logger: silentLogger });
const vins = someVins(20_000).slice(Number(firstVin));
for (let start = 0; start < vins.length; start += AT_ONCE) {
  // A put that runs beside a removal of its VIN must not undo it. Both may be in one transaction.
  await Promise.all(
    vins.slice(start, start + AT_ONCE).map(async (vin) => {
      const before = await vehicles.removalsOf(vin);
      const puts = [0, 1].map(() => vehicles.put({ vin }, decodeOf(vin), before));
      await vehicles.remove(vin);
      process.stdout.write(`${vin}\n`);
      await Promise.all([...puts, vehicles.put({ vin }, decodeOf(vin), before)]);
    }),
  );
}
