import { createServer } from "node:net";
import { once } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { Vin } from "../../src/vehicle/vin.ts";
import { clientOf } from "../support/clients.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { portOf } from "../support/port-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [VIN = ""] = manyVins(1);

/** How long each call takes, one after the other, in ms. */
async function timeEach(vins: readonly Vin[], call: (vin: Vin) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (const vin of vins) {
    const startedAt = performance.now();
    await call(vin);
    times.push(performance.now() - startedAt);
  }
  return times;
}

describe("without a network", () => {
  const unreachable = [
    ["refused", "http://127.0.0.1:9/api"],
    ["unresolvable", "https://vpic.invalid/api"],
  ] as const;

  test.each(unreachable)("answers from the snapshot at once when vPIC is %s", async (_, url) => {
    await using directory = await temporaryDirectory();
    await using service = await ServiceProcess.start({ DATA_DIR: directory.path, VPIC_URL: url });
    const client = clientOf(service);
    await client.lookup({ vin: VIN });

    const startedAt = performance.now();
    const answers = await Promise.all(manyVins(20).map((vin) => client.lookup({ vin })));

    expect(new Set(answers.map(({ source }) => source))).toEqual(new Set([Source.SNAPSHOT]));
    expect(performance.now() - startedAt).toBeLessThan(2_500);
  });

  test("answers from the snapshot within 2.5 s when nothing comes back from vPIC's address, and soon at once", async () => {
    await using directory = await temporaryDirectory();
    // Takes connections and never says a word, not even the TLS handshake's.
    await using abyss = createServer((socket) => socket.on("error", () => socket.destroy()).resume()).listen(
      0,
      "127.0.0.1",
    );
    await once(abyss, "listening");
    await using service = await ServiceProcess.start({
      DATA_DIR: directory.path,
      VPIC_URL: `https://127.0.0.1:${portOf(abyss)}/api`,
    });
    await service.logged("snapshot ready");
    const client = clientOf(service);

    const times = await timeEach(manyVins(5), (vin) => client.lookup({ vin }));

    expect(Math.max(...times)).toBeLessThan(2_500);
    expect(times.at(-1)).toBeLessThan(300);
  });

  test("answers from the snapshot within 2.5 s when vPIC is silent, and then at once", async () => {
    await using directory = await temporaryDirectory();
    await using vpic = await startFakeVpic({ respondWith: { kind: "silence" } });
    await using service = await ServiceProcess.start({ DATA_DIR: directory.path, VPIC_URL: vpic.url });
    await service.logged("snapshot ready");
    const client = clientOf(service);

    const times = await timeEach(manyVins(8), async (vin) => {
      expect(await client.lookup({ vin })).toMatchObject({ vin, make: "PETERBILT", source: Source.SNAPSHOT });
    });

    expect(Math.max(...times)).toBeLessThan(2_500);
    expect(times.at(-1)).toBeLessThan(300);
  });

  test("is unavailable, and says so with details, when the snapshot is off too", async () => {
    await using directory = await temporaryDirectory();
    await using service = await ServiceProcess.start({
      DATA_DIR: directory.path,
      SOURCES: "vpic",
      VPIC_URL: "http://127.0.0.1:9/api",
    });

    const error = await clientOf(service)
      .lookup({ vin: VIN })
      .catch((reason: unknown) => ConnectError.from(reason));

    expect(error).toMatchObject({ code: Code.Unavailable });
  });
});
