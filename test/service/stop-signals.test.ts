import { expect, test } from "vitest";
import { clientOf } from "../support/clients.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [VIN = ""] = manyVins(1);

test("counts signals that arrive together as one request to stop", async () => {
  await using directory = await temporaryDirectory();
  await using vpic = await startFakeVpic({ delayMs: 500 });
  await using service = await ServiceProcess.start({ DATA_DIR: directory.path, SOURCES: "vpic", VPIC_URL: vpic.url });
  const call = clientOf(service).lookup({ vin: VIN });
  await expect.poll(() => vpic.vins).toContain(VIN);

  const exit = service.stop("SIGINT");
  await service.logged("stopping");
  void service.stop("SIGINT");
  void service.stop("SIGTERM");

  expect(await call).toMatchObject({ vin: VIN });
  expect(await exit).toBe(0);
});

test("ends at once when told again later", async () => {
  await using directory = await temporaryDirectory();
  await using vpic = await startFakeVpic({ respondWith: { kind: "silence" } });
  await using service = await ServiceProcess.start({
    DATA_DIR: directory.path,
    SOURCES: "vpic",
    VPIC_URL: vpic.url,
    SHUTDOWN_GRACE: "1h",
  });
  const calls = Promise.allSettled([clientOf(service).lookup({ vin: VIN })]);
  await expect.poll(() => vpic.vins).toContain(VIN);

  let hasEnded = false;
  const exit = service.stop("SIGINT").finally(() => {
    hasEnded = true;
  });
  const repeat = () => {
    void service.stop("SIGINT");
    return hasEnded;
  };
  await expect.poll(repeat, { timeout: 20_000 }).toBe(true);

  expect(await exit).toBeNull();
  expect(await calls).toMatchObject([{ status: "rejected" }]);
  expect(service.log.map(({ msg }) => msg)).not.toContain("stopped");
});
