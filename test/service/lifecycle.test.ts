import { connect, createServer } from "node:net";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { clientOf } from "../support/clients.ts";
import { startFakeVpic } from "../support/fake-vpic.ts";
import { portOf } from "../support/port-of.ts";
import { manyVins } from "../support/real-vins.ts";
import { ServiceProcess } from "../support/service-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const [VIN = "", OTHER_VIN = ""] = manyVins(2);

describe("the process", () => {
  test("keeps its cache over a restart", async () => {
    await using directory = await temporaryDirectory();
    await using vpic = await startFakeVpic();
    const env = { DATA_DIR: directory.path, SOURCES: "vpic", VPIC_URL: vpic.url };

    await using first = await ServiceProcess.start(env);
    const decoded = await clientOf(first).lookup({ vin: VIN });
    const exitCode = await first.stop();
    await using second = await ServiceProcess.start(env);
    const cached = await clientOf(second).lookup({ vin: VIN });

    expect(exitCode).toBe(0);
    expect(cached).toEqual({ ...decoded, cached: true });
    expect(vpic.requests).toHaveLength(1);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("lets running calls finish on %s, and ends with 0", async (signal) => {
    await using directory = await temporaryDirectory();
    await using vpic = await startFakeVpic({ delayMs: 500 });
    await using service = await ServiceProcess.start({
      DATA_DIR: directory.path,
      SOURCES: "vpic",
      VPIC_URL: vpic.url,
    });

    const calls = Promise.all([
      clientOf(service, "grpc").lookup({ vin: VIN }),
      clientOf(service, "connect").lookup({ vin: OTHER_VIN }),
    ]);
    await expect.poll(() => vpic.vins.length).toBeGreaterThan(0);
    const exitCode = await service.stop(signal);

    expect(await calls).toMatchObject([{ vin: VIN }, { vin: OTHER_VIN }]);
    expect(exitCode).toBe(0);
    expect(service.log.map(({ msg }) => msg)).toEqual(expect.arrayContaining(["stopping", "stopped"]));
  });

  test("does not wait for connections without a request on SIGTERM", async () => {
    await using directory = await temporaryDirectory();
    await using service = await ServiceProcess.start({ DATA_DIR: directory.path, SOURCES: "vpic" });
    for (const [address, bytes] of [
      [service.grpcAddress, ""],
      [service.httpAddress, ""],
      [service.httpAddress, "GET / HTTP/1.1\r\nHost:"],
    ] as const) {
      const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
      socket.on("error", () => {});
      socket.write(bytes);
      socket.resume();
    }
    // Connections are taken in their order.
    await fetch(`http://${service.httpAddress}/healthz`);

    const startedAt = performance.now();
    const exitCode = await service.stop();

    expect(exitCode).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(4000);
  });

  test("tells every fault of its configuration on standard error, and ends with 1", async () => {
    await using service = await ServiceProcess.fail({ HOST: "no host", VPIC_PATIENCE: "soon" });

    expect(service.exitCode).toBe(1);
    expect(service.stderr).toContain('HOST: found "no host"');
    expect(service.stderr).toContain('VPIC_PATIENCE: found "soon"');
  });

  test.each(["GRPC_PORT", "HTTP_PORT"])(
    "says in one line that the port of %s is in use, and ends with 1",
    async (name) => {
      await using directory = await temporaryDirectory();
      await using occupier = createServer().listen(0, "127.0.0.1");
      await once(occupier, "listening");
      const port = portOf(occupier);

      await using service = await ServiceProcess.fail({
        DATA_DIR: directory.path,
        SOURCES: "vpic",
        [name]: String(port),
      });

      expect(service.exitCode).toBe(1);
      expect(service.log.filter(({ level }) => level === "error")).toMatchObject([
        { msg: "cannot start", reason: expect.stringMatching(new RegExp(`${port}.*in use`)) },
      ]);
    },
  );
});
