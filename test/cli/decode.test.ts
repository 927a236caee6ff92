import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodeCommand } from "../../src/cli/decode.ts";
import { directoryWithSnapshot } from "../support/shared.ts";
import { manyVins } from "../support/real-vins.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { MAIN, runCli } from "./run-cli.ts";
import { serveVehicles } from "./serve-vehicles.ts";

const TRUCK = "1XPWD40X1ED215307";
const OTHER_TRUCK = "1XKWDB0X57J211825";

test("a file is decoded in this process, and its VINs are removed from the cache", async () => {
  await using directory = await directoryWithSnapshot();
  const options = { cwd: directory.path, env: { DATA_DIR: directory.path, SOURCES: "snapshot", LOG_LEVEL: "" } };
  await writeFile(
    join(directory.path, "in.csv"),
    `id,VIN,model\n1,${TRUCK},mine\n2,nonsense,"a, b"\n3,${OTHER_TRUCK},\n`,
  );

  const decoded = await runCli(["decode", "in.csv", "out.csv", "--columns", "make,model,Doors"], options);
  const unconfirmed = await runCli(["remove", "--from", "in.csv"], options);
  const removed = await runCli(["remove", "--from", "in.csv", "--yes"], options);

  expect(decoded).toMatchObject({
    exitCode: 1,
    stdout: "",
    stderr: expect.stringMatching(/^out\.csv: 3 rows, 1 failed, [\d.]+ s\n$/),
  });
  expect((await readFile(join(directory.path, "out.csv"), "utf8")).split("\n")).toEqual([
    "id,VIN,model,make,vpic_model,Doors,error",
    `1,${TRUCK},mine,PETERBILT,388,,`,
    expect.stringMatching(/^2,nonsense,"a, b",,,,"vin: a VIN has 17 characters, this has 8/),
    `3,${OTHER_TRUCK},,KENWORTH,W9 Series,,`,
    "",
  ]);
  expect(unconfirmed).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("there is no terminal to ask for confirmation"),
  });
  expect(removed).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/^"nonsense": vin: [^]*\n3 VINs: 2 were in the cache, 1 malformed\n$/),
  });
});

test("standard input is decoded to standard output, through a service", async () => {
  await using service = await serveVehicles();

  const args = ["decode", "--address", service.address, "--columns", "make", "-", "-"];
  const { stdout, stderr, exitCode } = await runCli(args, { stdin: `${TRUCK}\n${OTHER_TRUCK}\n` });

  expect(stdout).toBe(`vin,make,error\n${TRUCK},make of ${TRUCK},\n${OTHER_TRUCK},make of ${OTHER_TRUCK},\n`);
  expect({ stderr, exitCode }).toEqual({ exitCode: 0, stderr: expect.stringMatching(/^2 rows, 0 failed, /) });
});

test("Ctrl-C leaves a part file, and --resume completes it to the same file", async () => {
  await using directory = await temporaryDirectory();
  const vins = manyVins(3_500);
  await writeFile(join(directory.path, "in.txt"), vins.map((vin) => `${vin}\n`).join(""));
  await using service = await serveVehicles();
  const args = ["decode", "--address", service.address, "--columns", "make", "in.txt", "out.csv"];

  service.answersUntil = vins[2_000];
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: directory.path, stdio: "ignore" });
  await service.reached;
  child.kill("SIGINT");
  const [exitCode] = await once(child, "close");
  const left = await readdir(directory.path);
  service.answersUntil = undefined;
  const resumed = await runCli([...args, "--resume"], { cwd: directory.path });

  expect([exitCode, left.toSorted()]).toEqual([130, ["in.txt", "out.csv.part"]]);
  expect(resumed).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^out\.csv: 3,500 rows, 0 failed/) });
  expect((await readdir(directory.path)).toSorted()).toEqual(["in.txt", "out.csv"]);
  const expected = ["vin,make,error", ...vins.map((vin) => `${vin},make of ${vin},`), ""].join("\n");
  expect(await readFile(join(directory.path, "out.csv"), "utf8")).toBe(expected);
});

test.each([
  [["nowhere.csv"], "ENOENT"],
  [["in.csv", "out.csv", "--column", "vni"], "--column: there is no column vni; did you mean vin?"],
  [
    ["in.csv", "--columns", "EngineCylindres"],
    "--columns: unknown column EngineCylindres; did you mean EngineCylinders?",
  ],
  [["in.csv", "--resume"], "--resume needs an output file"],
  [["in.csv", "out.xlsx"], "expected a name that ends in .csv, .jsonl or .parquet, or -"],
  [["in.csv", "--address", "nonsense"], "--address: expected a URL or host:port, not nonsense"],
])("the arguments %j are refused: %s", async ([input = "", ...args], fault) => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "in.csv"), `vin\n${TRUCK}\n`);

  const work = decodeCommand.run([join(directory.path, input), ...args]);

  await expect(work).rejects.toThrow(fault);
});
