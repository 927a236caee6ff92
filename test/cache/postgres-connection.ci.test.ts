import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { openVehicleStore, type VehicleStoreOptions } from "../../src/cache/open-vehicle-store.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { createAuthority } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { connect, PostgresServer } from "../support/postgres.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const PASSWORD = "ge/h%e@im";
const ENCODED = encodeURIComponent(PASSWORD);

let server: PostgresServer;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let port: number;
let files: Readonly<Record<"ca" | "otherCa" | "cert" | "key", string>>;

beforeAll(async () => {
  const authority = createAuthority();
  const forServer = authority.issue("localhost");
  // PostgreSQL uses the name in the certificate as the user's name.
  const forClient = authority.issue("postgres");
  port = await freePort();
  server = await PostgresServer.start({
    settings: ["listen_addresses=127.0.0.1", `port=${port}`, "ssl=on", "ssl_ca_file=root.crt"],
    files: {
      "server.crt": forServer.cert,
      "server.key": forServer.key,
      "root.crt": authority.cert,
      "pg_hba.conf": [
        "local all all trust",
        "hostssl with_certificate all 127.0.0.1/32 cert",
        "hostssl with_tls all 127.0.0.1/32 trust",
        "hostnossl without_tls all 127.0.0.1/32 trust",
        "host with_password all 127.0.0.1/32 scram-sha-256",
      ].join("\n"),
    },
  });
  directory = await temporaryDirectory();
  files = {
    ca: await write("ca.pem", authority.cert),
    otherCa: await write("other-ca.pem", createAuthority("another").cert),
    cert: await write("client.pem", forClient.cert),
    key: await write("client-key.pem", forClient.key),
  };
  const socket = `postgres://postgres@localhost/postgres?host=${encodeURIComponent(server.directory)}&port=${port}`;
  const orm = await connect(socket);
  for (const name of ["with_certificate", "with_tls", "without_tls", "with_password"]) {
    await orm.em.execute(`create database ${name}`);
  }
  await orm.em.execute(`alter role postgres password '${PASSWORD}'`);
  await orm.close();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

async function write(name: string, content: string): Promise<string> {
  const path = join(directory.path, name);
  await writeFile(path, content);
  return path;
}

/** Opens the store, and returns whether its database answers and what was logged. */
async function tryToOpen(databaseUrl: string): Promise<{ readonly answers: boolean; readonly log: string }> {
  const lines: string[] = [];
  const logger = createLogger("debug", { write: (line) => lines.push(line) });
  const fault = await pingOnce({ databaseUrl, logger, readTimeoutMs: 10_000 }).catch((error: unknown) => error);
  logger.error("ping", { err: fault });
  return { answers: fault === undefined, log: lines.join("") };
}

async function pingOnce(options: VehicleStoreOptions): Promise<void> {
  await using vehicles = await openVehicleStore(options);
  await vehicles.ping();
}

describe("TLS to PostgreSQL", () => {
  test.each([
    ["without sslmode is used when the server offers it", "localhost", "with_tls", "", true],
    ["with prefer is used when the server offers it", "127.0.0.1", "with_tls", "sslmode=prefer", true],
    ["with disable is not used", "127.0.0.1", "without_tls", "sslmode=disable", true],
    ["with disable is refused by a server that demands it", "127.0.0.1", "with_tls", "sslmode=disable", false],
    ["with require trusts any certificate", "127.0.0.1", "with_tls", "sslmode=require", true],
    ["with require and an authority checks it", "127.0.0.1", "with_tls", "sslmode=require&sslrootcert=OTHER", false],
    ["with verify-ca trusts the authority", "127.0.0.1", "with_tls", "sslmode=verify-ca&sslrootcert=CA", true],
    ["with verify-full trusts the authority", "localhost", "with_tls", "sslmode=verify-full&sslrootcert=CA", true],
    ["with verify-full refuses another one", "localhost", "with_tls", "sslmode=verify-full&sslrootcert=OTHER", false],
    ["with verify-full refuses an unknown one", "localhost", "with_tls", "sslmode=verify-full", false],
    [
      "with a client certificate lets its user in",
      "localhost",
      "with_certificate",
      "sslmode=require&sslcert=CERT&sslkey=KEY",
      true,
    ],
    [
      "without a client certificate is refused where one is needed",
      "localhost",
      "with_certificate",
      "sslmode=require",
      false,
    ],
  ])("%s", async (_, host, database, parameters, expected) => {
    const search = parameters
      .replace("CA", encodeURIComponent(files.ca))
      .replace("OTHER", encodeURIComponent(files.otherCa))
      .replace("CERT", encodeURIComponent(files.cert))
      .replace("KEY", encodeURIComponent(files.key));

    const { answers, log } = await tryToOpen(`postgres://postgres@${host}:${port}/${database}?${search}`);

    expect({ answers, log }).toEqual({ answers: expected, log: expect.anything() });
  });
});

describe("a password of PostgreSQL", () => {
  test.each([
    ["in the URL", `postgres:${ENCODED}@`, ""],
    ["in PGPASSWORD", "postgres@", PASSWORD],
  ])("%s lets in, and is in no log line", async (_, user, variable) => {
    vi.stubEnv("PGPASSWORD", variable);

    const { answers, log } = await tryToOpen(`postgres://${user}127.0.0.1:${port}/with_password`);

    vi.unstubAllEnvs();
    expect({ answers, log }).toEqual({ answers: true, log: expect.anything() });
    expect(log).not.toContain(PASSWORD);
    expect(log).not.toContain(ENCODED);
  });

  test("that is wrong is in no log line", async () => {
    const { answers, log } = await tryToOpen(`postgres://postgres:falsch%2F1@127.0.0.1:${port}/with_password`);

    expect(answers).toBe(false);
    expect(log).toContain("password authentication failed");
    expect(log).not.toContain("falsch");
  });
});
