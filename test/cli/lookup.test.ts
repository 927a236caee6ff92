import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { LookupResponseSchema, Source } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { UsageError } from "../../src/cli/command.ts";
import { formatCard, lookupCommand } from "../../src/cli/lookup.ts";
import { directoryWithSnapshot } from "../support/shared.ts";
import { startTestApp } from "../support/test-app.ts";
import { runCli } from "./run-cli.ts";

const VIN = "1XPWD40X1ED215307";

test("a VIN is decoded in this process, as JSON in a pipe", async () => {
  await using directory = await directoryWithSnapshot();
  const env = { DATA_DIR: directory.path, SOURCES: "snapshot" };

  const { stdout, stderr, exitCode } = await runCli(["lookup", VIN.toLowerCase()], { env });

  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  expect(JSON.parse(stdout)).toMatchObject({
    vin: VIN,
    make: "PETERBILT",
    modelYear: "2014",
    source: "SOURCE_SNAPSHOT",
  });
});

test.each(["httpAddress", "grpcAddress"] as const)("a VIN is decoded by the service at its %s", async (port) => {
  await using app = await startTestApp();
  const address = port === "httpAddress" ? `http://${app[port]}` : app[port];

  const { stdout, exitCode } = await runCli(["lookup", "--full", "--address", address, VIN]);

  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ vin: VIN, source: "SOURCE_VPIC", attributes: expect.anything() });
});

test("a malformed VIN is explained", async () => {
  await using app = await startTestApp();

  const { stdout, stderr, exitCode } = await runCli(["lookup", "--address", `http://${app.httpAddress}`, "1XPW"]);

  expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 1 });
  expect(stderr).toMatch(/^vin: a VIN has 17 characters, this has 4/);
});

test.each([
  [[], "expected one VIN"],
  [[VIN, "--model-year", "14"], "--model-year: expected a year such as 2014, not 14"],
  [[VIN, "--token-file", "secret"], "--token-file needs --address"],
  [[VIN, "--address", "nonsense"], "--address: expected a URL or host:port, not nonsense"],
])("the arguments %j are refused: %s", async (args, fault) => {
  await expect(lookupCommand.run(args)).rejects.toThrow(new UsageError(fault));
});

test("a card has a line for each value that is known", () => {
  const vehicle = create(LookupResponseSchema, {
    vin: VIN,
    make: "PETERBILT",
    modelYear: "2014",
    source: Source.SNAPSHOT,
    dataDate: "2026-02-17",
    cached: true,
    attributes: { Doors: "2", Axles: "3" },
  });

  expect(formatCard(vehicle).split("\n")).toEqual([
    "VIN         1XPWD40X1ED215307",
    "make        PETERBILT",
    "model year  2014",
    "source      snapshot of 2026-02-17, from the cache",
    "Axles       3",
    "Doors       2",
  ]);
});
