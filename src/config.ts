import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { findListenFault } from "./access/listen-safety.ts";
import { parseDatabaseUrl } from "./cache/database-url.ts";
import { readOpenTelemetry } from "./config-open-telemetry.ts";
import type { ValueParser, VariableReader } from "./config-values.ts";
import {
  listOf,
  oneOf,
  parseCount,
  parseDuration,
  parseHost,
  parseLimit,
  parsePort,
  parsePositiveNumber,
} from "./config-values.ts";
import type { ConnectionLimits } from "./server/connection-gate.ts";
import type { AllowedOrigins } from "./server/cors.ts";
import { parseOrigins } from "./server/cors.ts";
import { LOG_LEVELS, LOG_VINS } from "./telemetry/logger.ts";
import type { LogLevel, LogVins } from "./telemetry/logger.ts";
import type { OpenTelemetrySettings } from "./telemetry/open-telemetry-settings.ts";
import type { FreshnessPolicy } from "./vehicle/freshness.ts";
import type { SourceName } from "./vehicle/vehicle.ts";
import { parseVpicUrl } from "./vpic/vpic-client.ts";

/** All settings of the service. */
export interface Config {
  readonly host: string;
  /** 0 picks a free port. */
  readonly grpcPort: number;
  /** 0 picks a free port. */
  readonly httpPort: number;
  /** An absolute path. */
  readonly dataDir: string;
  /** `sqlite:<file>` or `postgres://...`. */
  readonly databaseUrl: string;
  /** Maximum number of connections to PostgreSQL for lookups. */
  readonly databasePool: number;
  /** Whether the service needs its database to start and to be ready. */
  readonly requireDatabase: boolean;
  readonly sources: readonly SourceName[];
  readonly freshness: FreshnessPolicy;
  readonly vpic: { readonly url: string; readonly patienceMs: number; readonly requestsPerSecond: number };
  /** Another database for the snapshot; the embedded one when undefined. */
  readonly snapshotPath: string | undefined;
  readonly access: AccessConfig;
  readonly tls: TlsConfig;
  readonly connections: Partial<ConnectionLimits>;
  /** Maximum number of calls that run or wait in this process. */
  readonly maxCallsInFlight: number;
  readonly logLevel: LogLevel;
  /** How long a unary call may take before it is logged as slow. */
  readonly logSlowCallsMs: number;
  /** How much of a VIN the log may contain. */
  readonly logVins: LogVins;
  /** Undefined when OpenTelemetry is off. */
  readonly openTelemetry: OpenTelemetrySettings | undefined;
  /** How long calls are still accepted after a signal to stop, while the health checks report NOT_SERVING. */
  readonly shutdownDelayMs: number;
  readonly shutdownGraceMs: number;
  /** How many processes serve. */
  readonly workers: number;
}

/** Who may call, and how often. */
interface AccessConfig {
  /** Without it, anyone who can reach the service may do everything. */
  readonly tokensFile: string | undefined;
  readonly allowAnonymous: boolean;
  readonly origins: AllowedOrigins;
  readonly requestsPerSecond: number;
  readonly burst: number;
}

/** Absolute paths of PEM files. Without certificate and key there is no TLS. */
export interface TlsConfig {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly clientCaFile: string | undefined;
}

/** The faults of a configuration. The message has one line for each. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `the configuration is not usable; correct these variables:\n${faults.map((fault) => `  ${fault}`).join("\n")}`,
    );
    this.faults = faults;
  }
}

/**
 * Reads the configuration from environment variables. An empty variable counts as unset. A name with the prefix
 * `VEHICLE_` has priority over the short one.
 *
 * @throws ConfigError that lists every fault: the variable, the expected form and, unless it may be a secret, the
 *   value.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const faults: string[] = [];
  // The short names are common: conda and shells set some of them by accident.
  const nameOf = (name: string): string => (env[`VEHICLE_${name}`]?.trim() ? `VEHICLE_${name}` : name);
  const textOf = (name: string): string => env[nameOf(name)]?.trim() ?? "";
  const config = readConfig((name, defaultText, parse) => {
    const text = textOf(name) || defaultText;
    try {
      return parse(text);
    } catch (error) {
      const expected = error instanceof Error ? error.message : "not usable";
      faults.push(`${nameOf(name)}: ${describeFound(name, text)}${expected}`);
      return parse(defaultText);
    }
  });
  if (config.freshness.staleForMs < config.freshness.freshForMs) {
    faults.push("CACHE_STALE_FOR: shorter than CACHE_FRESH_FOR; expected at least the same duration");
  }
  const listenFault = findListenFault({
    host: config.host,
    hasTokens: config.access.tokensFile !== undefined,
    allowAnonymous: config.access.allowAnonymous,
  });
  if (listenFault !== undefined) {
    faults.push(listenFault);
  }
  faults.push(...findTlsFaults(config.tls));
  if (textOf("DATABASE_URL") !== "" && textOf("DATABASE_URL_FILE") !== "") {
    faults.push(`${nameOf("DATABASE_URL_FILE")}: ${nameOf("DATABASE_URL")} is set too; expected only one of them`);
  }
  if (faults.length > 0) {
    throw new ConfigError(faults);
  }
  return config;
}

/** Reads every variable with its default, in the order of docs/configuration.md. */
export function readConfig(read: VariableReader): Config {
  const host = read("HOST", "127.0.0.1", parseHost);
  const grpcPort = read("GRPC_PORT", "50051", parsePort);
  const httpPort = read("HTTP_PORT", "8080", parsePort);
  const dataDir = read("DATA_DIR", "data", (text) => resolve(text));
  const checkDatabaseUrl: ValueParser<string> = (text) => {
    const url = text.replace("$DATA_DIR", dataDir);
    parseDatabaseUrl(url);
    return url;
  };
  const databaseUrl = read("DATABASE_URL", "sqlite:$DATA_DIR/vehicles.db", checkDatabaseUrl);
  const urlInFile = read("DATABASE_URL_FILE", "", (path) =>
    path === "" ? undefined : checkDatabaseUrl(readFileSync(resolve(path), "utf8").trim()),
  );
  return {
    host,
    grpcPort,
    httpPort,
    dataDir,
    databaseUrl: urlInFile ?? databaseUrl,
    databasePool: read("DATABASE_POOL", "10", parseCount),
    requireDatabase: read("REQUIRE_DATABASE", "false", oneOf(["true", "false"])) === "true",
    sources: read("SOURCES", "vpic,snapshot", listOf(["vpic", "snapshot"])),
    freshness: {
      freshForMs: read("CACHE_FRESH_FOR", "30d", parseDuration),
      staleForMs: read("CACHE_STALE_FOR", "365d", parseDuration),
      negativeForMs: read("CACHE_NEGATIVE_FOR", "24h", parseDuration),
      snapshotForMs: read("CACHE_SNAPSHOT_FOR", "1h", parseDuration),
    },
    vpic: {
      url: read("VPIC_URL", "https://vpic.nhtsa.dot.gov/api", parseVpicUrl),
      patienceMs: read("VPIC_PATIENCE", "2s", parseDuration),
      requestsPerSecond: read("VPIC_REQUESTS_PER_SECOND", "5", parsePositiveNumber),
    },
    snapshotPath: read("SNAPSHOT_PATH", "", optionalPath),
    access: {
      tokensFile: read("AUTH_TOKENS_FILE", "", optionalPath),
      allowAnonymous: read("ALLOW_ANONYMOUS", "false", oneOf(["true", "false"])) === "true",
      origins: read("CORS_ORIGINS", "", parseOrigins),
      requestsPerSecond: read("RATE_LIMIT_PER_SECOND", "1000", parsePositiveNumber),
      burst: read("RATE_LIMIT_BURST", "10000", parsePositiveNumber),
    },
    tls: {
      certFile: read("TLS_CERT_FILE", "", optionalPath),
      keyFile: read("TLS_KEY_FILE", "", optionalPath),
      clientCaFile: read("TLS_CLIENT_CA_FILE", "", optionalPath),
    },
    connections: read("CONNECTIONS_PER_ADDRESS", "500", parseConnectionsPerAddress),
    maxCallsInFlight: read("MAX_CALLS_IN_FLIGHT", "2048", parseCount),
    logLevel: read("LOG_LEVEL", "info", oneOf(LOG_LEVELS)),
    logSlowCallsMs: read("LOG_SLOW_CALLS", "1s", parseDuration),
    logVins: read("LOG_VINS", "partial", oneOf(LOG_VINS)),
    openTelemetry: readOpenTelemetry(read),
    shutdownDelayMs: read("SHUTDOWN_DELAY", "0s", parseDuration),
    shutdownGraceMs: read("SHUTDOWN_GRACE", "10s", parseDuration),
    workers: read("WORKERS", "1", parseWorkers),
  };
}

/** A whole number greater than 0; `auto` is one worker for each core. */
function parseWorkers(text: string): number {
  if (text === "auto") {
    return availableParallelism();
  }
  try {
    return parseCount(text);
  } catch {
    throw new Error("expected a whole number greater than 0, or auto for one worker per core");
  }
}

/** Four times as many may be opened within 10 s. */
function parseConnectionsPerAddress(text: string): Partial<ConnectionLimits> {
  const maxOpenPerAddress = parseLimit(text);
  return { maxOpenPerAddress, maxNewPerAddress: 4 * maxOpenPerAddress };
}

function findTlsFaults({ certFile, keyFile, clientCaFile }: TlsConfig): string[] {
  if (certFile !== undefined && keyFile !== undefined) {
    return [];
  }
  if (certFile === undefined && keyFile === undefined) {
    return clientCaFile === undefined ? [] : ["TLS_CLIENT_CA_FILE: needs TLS_CERT_FILE and TLS_KEY_FILE"];
  }
  return [
    certFile === undefined ? "TLS_CERT_FILE: needed with TLS_KEY_FILE" : "TLS_KEY_FILE: needed with TLS_CERT_FILE",
  ];
}

function optionalPath(text: string): string | undefined {
  return text === "" ? undefined : resolve(text);
}

/** Characters of URLs and of the credentials in them. */
const LIKE_A_URL = /[@/?=]/;

/**
 * What was found, for a message. Anything like a URL is not shown, because a malformed URL may contain a password
 * anywhere. This applies to every variable, because the value may have been meant for another one.
 */
function describeFound(name: string, text: string): string {
  return name.startsWith("DATABASE_URL") || name.endsWith("_URL") || name.endsWith("_ENDPOINT") || LIKE_A_URL.test(text)
    ? ""
    : `found ${JSON.stringify(text)}; `;
}
