import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError, loadConfig } from "../src/config.ts";
import { temporaryDirectory } from "./support/temporary-directory.ts";

const DAY_MS = 86_400_000;

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.faults;
    }
    throw error;
  }
  return [];
}

describe("loadConfig", () => {
  test("has a default that works for everything", () => {
    const config = loadConfig({});

    expect(config).toMatchObject({
      host: "127.0.0.1",
      grpcPort: 50_051,
      httpPort: 8_080,
      dataDir: resolve("data"),
      databaseUrl: `sqlite:${resolve("data")}/vehicles.db`,
      sources: ["vpic", "snapshot"],
      freshness: { freshForMs: 30 * DAY_MS, staleForMs: 365 * DAY_MS, negativeForMs: DAY_MS, snapshotForMs: 3_600_000 },
      vpic: { url: "https://vpic.nhtsa.dot.gov/api", patienceMs: 2_000, requestsPerSecond: 5 },
      snapshotPath: undefined,
      connections: { maxOpenPerAddress: 500, maxNewPerAddress: 2_000 },
      maxCallsInFlight: 2_048,
      logLevel: "info",
      shutdownGraceMs: 10_000,
      workers: 1,
    });
  });

  test("treats an empty variable as unset", () => {
    expect(loadConfig({ HOST: "", GRPC_PORT: " " })).toEqual(loadConfig({}));
  });

  test("prefers a name with the prefix VEHICLE_, unless it is empty", () => {
    const env = { HTTP_PORT: "1234", VEHICLE_HTTP_PORT: "8081", GRPC_PORT: "50052", VEHICLE_GRPC_PORT: "" };

    expect(loadConfig(env)).toMatchObject({ httpPort: 8_081, grpcPort: 50_052 });
    expect(faultsOf({ ...env, VEHICLE_HTTP_PORT: "many" })).toEqual([
      expect.stringMatching(/^VEHICLE_HTTP_PORT: found "many"/),
    ]);
    expect(faultsOf({ VEHICLE_DATABASE_URL: "sqlite:x.db", DATABASE_URL_FILE: "/dev/null" })).toContain(
      "DATABASE_URL_FILE: VEHICLE_DATABASE_URL is set too; expected only one of them",
    );
  });

  test("turns OpenTelemetry on by its endpoint, unless it is disabled", () => {
    const on = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318/", OTEL_TRACES_SAMPLER: "traceidratio" };

    expect(loadConfig({}).openTelemetry).toBe(undefined);
    expect(loadConfig(on).openTelemetry).toMatchObject({ endpoint: "http://127.0.0.1:4318", sampler: "traceidratio" });
    expect(loadConfig({ ...on, OTEL_SDK_DISABLED: "true" }).openTelemetry).toBe(undefined);
    expect(faultsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: "me:geheim", OTEL_TRACES_SAMPLER_ARG: "2" })).toEqual([
      "OTEL_EXPORTER_OTLP_ENDPOINT: expected the URL of a collector, such as http://127.0.0.1:4318",
      'OTEL_TRACES_SAMPLER_ARG: found "2"; expected a number from 0 to 1',
    ]);
  });

  test("keeps the database in the data directory by default", () => {
    expect(loadConfig({ DATA_DIR: "/srv/vehicles" }).databaseUrl).toBe("sqlite:/srv/vehicles/vehicles.db");
    expect(loadConfig({ DATABASE_URL: "postgres://u:p@db/vehicles" }).databaseUrl).toBe("postgres://u:p@db/vehicles");
  });

  test("takes the database's URL from a file", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "database-url");
    await writeFile(path, "postgres://u:geheim@db/vehicles\n");
    const missing = { DATABASE_URL_FILE: join(directory.path, "missing") };

    const config = loadConfig({ DATABASE_URL_FILE: path });

    expect(config.databaseUrl).toBe("postgres://u:geheim@db/vehicles");
    expect(faultsOf(missing)).toEqual([expect.stringMatching(/^DATABASE_URL_FILE: .*no such file/)]);
    expect(faultsOf({ DATABASE_URL_FILE: path, DATABASE_URL: "sqlite:x.db" })).toEqual([
      "DATABASE_URL_FILE: DATABASE_URL is set too; expected only one of them",
    ]);
    await writeFile(path, "mysql://u:geheim@db/vehicles");
    expect(faultsOf({ DATABASE_URL_FILE: path }).join()).not.toContain("geheim");
  });

  test.each([
    ["30d", 30 * DAY_MS],
    ["1.5h", 5_400_000],
    ["5m", 300_000],
    ["2s", 2_000],
    ["100ms", 100],
  ])("reads the duration %s", (text, ms) => {
    expect(loadConfig({ VPIC_PATIENCE: text }).vpic.patienceMs).toBe(ms);
  });

  test("reports every fault at once, with the variable, what was found and what is expected", () => {
    const faults = faultsOf({
      HOST: "not a host",
      GRPC_PORT: "70000",
      DATABASE_URL: "mysql://root:geheim@db/x",
      SOURCES: "vpic,carfax",
      CACHE_FRESH_FOR: "30",
      VPIC_URL: "http://vpic.example",
      VPIC_REQUESTS_PER_SECOND: "0",
      LOG_LEVEL: "loud",
    });

    expect(faults).toEqual([
      expect.stringMatching(/^HOST: found "not a host"; expected an IP address/),
      expect.stringMatching(/^GRPC_PORT: found "70000"; expected a port from 0 to 65535/),
      expect.stringMatching(/^DATABASE_URL: expected sqlite:.*postgres:/),
      expect.stringMatching(/^SOURCES: found "vpic,carfax"; expected a list of vpic, snapshot, separated by commas/),
      expect.stringMatching(/^CACHE_FRESH_FOR: found "30"; expected a number with a unit/),
      expect.stringMatching(/^VPIC_URL: must be https/),
      expect.stringMatching(/^VPIC_REQUESTS_PER_SECOND: found "0"; expected a number greater than 0/),
      expect.stringMatching(/^LOG_LEVEL: found "loud"; expected one of debug, info, warn, error, silent/),
    ]);
  });

  test.each([
    ["DATABASE_URL", "mysql://root:geheim@db/x"],
    ["DATABASE_URL", "postgres://root:ge/geheim@db/x"],
    ["DATABASE_URL", "postgres://root:12/geheim@db/x"],
    ["DATABASE_URL", "postgres://root:12?geheim@db/x"],
    ["DATABASE_URL", "postgres://root:12#geheim@db/x"],
    ["DATABASE_URL", "postgres://root:geheim@db:port/x"],
    ["DATABASE_URL", "postgres:root:geheim@db/x"],
    ["DATABASE_URL", "mysql://db/x?user=root&password=geheim"],
    ["DATABASE_URL", "root:geheim"],
    ["DATABASE_URL", "geheim"],
    ["VPIC_URL", "ftp://me:geheim@vpic"],
    ["VPIC_URL", "https://me:geheim@vpic.example/api"],
    ["VPIC_URL", "https://me:ge/geheim@vpic.example/api"],
    ["VPIC_URL", "https://me:12/geheim@vpic.example/api"],
    ["VPIC_URL", "https://vpic.example/api?key=geheim"],
    ["VPIC_URL", "geheim"],
    ["CORS_ORIGINS", "https://me:geheim@app.example.com"],
    ["CORS_ORIGINS", "https://app.example.com?key=geheim"],
    ["HOST", "postgres://root:geheim@db/x"],
    ["LOG_LEVEL", "key=geheim"],
  ])("prints nothing of a secret in %s=%s", (name, value) => {
    const faults = faultsOf({ [name]: value });

    expect(faults).toEqual([expect.stringMatching(new RegExp(`^${name}: `))]);
    expect(faults.join()).not.toContain("geheim");
  });

  test.each([
    ["300", { maxOpenPerAddress: 300, maxNewPerAddress: 1_200 }],
    ["unlimited", { maxOpenPerAddress: Infinity, maxNewPerAddress: Infinity }],
  ])(
    "lets an address with CONNECTIONS_PER_ADDRESS=%s have four times as many new connections in 10 s",
    (text, limits) => {
      expect(loadConfig({ CONNECTIONS_PER_ADDRESS: text }).connections).toEqual(limits);
    },
  );

  test.each(["0", "1.5", "unlimited", "many"])("refuses MAX_CALLS_IN_FLIGHT=%s", (text) => {
    expect(faultsOf({ MAX_CALLS_IN_FLIGHT: text })).toEqual([
      `MAX_CALLS_IN_FLIGHT: found "${text}"; expected a whole number greater than 0`,
    ]);
  });

  test("requires stale entries to be kept at least as long as fresh ones", () => {
    expect(faultsOf({ CACHE_FRESH_FOR: "10d", CACHE_STALE_FOR: "5d" })).toEqual([
      expect.stringContaining("CACHE_STALE_FOR"),
    ]);
  });

  test.each([
    [{ HOST: "127.0.0.1" }, 0],
    [{ HOST: "0.0.0.0" }, 1],
    [{ HOST: "::" }, 1],
    [{ HOST: "0.0.0.0", ALLOW_ANONYMOUS: "false" }, 1],
    [{ HOST: "0.0.0.0", ALLOW_ANONYMOUS: "true" }, 0],
    [{ HOST: "0.0.0.0", AUTH_TOKENS_FILE: "tokens" }, 0],
  ])("does not let everybody in by mistake: %j has %i faults", (env, count) => {
    const faults = faultsOf(env);

    expect(faults).toEqual(
      Array.from({ length: count }, () =>
        expect.stringMatching(/^HOST: .* set AUTH_TOKENS_FILE, or ALLOW_ANONYMOUS=true/),
      ),
    );
  });
});
