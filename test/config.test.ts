import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { ConfigError, loadConfig } from "../src/config.ts";

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
      logLevel: "info",
      shutdownGraceMs: 10_000,
    });
  });

  test("takes an empty variable for an unset one", () => {
    expect(loadConfig({ HOST: "", GRPC_PORT: " " })).toEqual(loadConfig({}));
  });

  test("keeps the database in the data directory unless it is told otherwise", () => {
    expect(loadConfig({ DATA_DIR: "/srv/vehicles" }).databaseUrl).toBe("sqlite:/srv/vehicles/vehicles.db");
    expect(loadConfig({ DATABASE_URL: "postgres://u:p@db/vehicles" }).databaseUrl).toBe("postgres://u:p@db/vehicles");
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

  test("reports every fault at once, with the variable, what was found and what is allowed", () => {
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
      expect.stringMatching(/^HOST: found "not a host"; allowed is an IP address/),
      expect.stringMatching(/^GRPC_PORT: found "70000"; allowed is a port from 0 to 65535/),
      expect.stringMatching(/^DATABASE_URL: found "mysql:.*; .*sqlite:.*postgres:/),
      expect.stringMatching(/^SOURCES: found "vpic,carfax"; allowed is one of vpic, snapshot/),
      expect.stringMatching(/^CACHE_FRESH_FOR: found "30"; allowed is a number with a unit/),
      expect.stringMatching(/^VPIC_URL: found "http:\/\/vpic.example"; /),
      expect.stringMatching(/^VPIC_REQUESTS_PER_SECOND: found "0"; allowed is a number greater than 0/),
      expect.stringMatching(/^LOG_LEVEL: found "loud"; allowed is one of debug, info, warn, error, silent/),
    ]);
  });

  test("never prints a password", () => {
    const faults = faultsOf({ DATABASE_URL: "mysql://root:geheim@db/x", VPIC_URL: "ftp://me:geheim@vpic" });

    expect(faults).toHaveLength(2);
    expect(faults.join()).not.toContain("geheim");
  });

  test("wants stale entries to be kept at least as long as fresh ones", () => {
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
