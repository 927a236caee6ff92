import { expect, test } from "vitest";

import { parseVin } from "../../src/vehicle/vin.ts";
import { createVpicSource } from "../../src/vpic/vpic-source.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { SilentLogger } from "./silent-logger.ts";

const VIN = parseVin("1XPWD40X1ED215307");

test("a VIN is asked with one GET and decoded", async () => {
  await using vpic = await startFakeVpic();
  await using source = createVpicSource({
    baseUrl: vpic.url,
    userAgent: "VehicleService/1.2.3",
    logger: new SilentLogger(),
    now: () => 1_000,
  });

  const decode = await source.decode({ vin: VIN }, new AbortController().signal);

  expect(decode).toMatchObject({
    vin: VIN,
    make: "PETERBILT",
    model: "579",
    modelYear: "2014",
    bodyClass: "Truck-Tractor",
    source: "vpic",
    decodedAt: 1_000,
  });
  expect(vpic.requests).toHaveLength(1);
  expect(vpic.requests[0]).toMatchObject({
    method: "GET",
    path: `/api/vehicles/DecodeVinValues/${VIN}?format=json`,
    headers: { "user-agent": "VehicleService/1.2.3" },
  });
});
