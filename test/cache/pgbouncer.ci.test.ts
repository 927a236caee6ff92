import type { MikroORM } from "@mikro-orm/postgresql";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseDatabaseUrl } from "../../src/cache/database-url.ts";
import { openExportedRows } from "../../src/cache/exported-rows.ts";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { parseVin } from "../../src/vehicle/vin.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { type PgBouncer, startPgBouncer } from "../support/pgbouncer.ts";
import { connect, PostgresServer } from "../support/postgres.ts";
import { decodeOf, NOON, someVins, store } from "../support/vehicle-samples.ts";
import { describeVehicleStore } from "../support/vehicle-store-contract.ts";

/** A `set` that outlives its transaction, or an advisory lock. */
const SESSION_STATE = /execute|statement: .*\bset (?!local\b)\w+ (?:=|to)|advisory|listen|discard|prepare/i;

let server: PostgresServer;
let pgBouncer: PgBouncer;

beforeAll(async () => {
  server = await PostgresServer.start({ settings: ["log_statement=all"] });
  pgBouncer = await startPgBouncer(server);
});

afterAll(async () => {
  await pgBouncer[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Opens the store through PgBouncer. On a busy machine, even a healthy server may be slow. */
function open(databaseUrl: string, now: () => number = () => NOON, logger = new MemoryLogger()) {
  return openVehicleStore({ databaseUrl, logger, now, readTimeoutMs: 10_000 });
}

describe.each(["read committed", "repeatable read"])("at the isolation level %s", (isolation) => {
  const name = `at_${isolation.replace(" ", "_")}`;
  let databaseUrl: string;
  let direct: MikroORM;

  beforeAll(async () => {
    const directUrl = await server.createDatabase(name);
    databaseUrl = `${pgBouncer.urlOf(directUrl)}&pgbouncer=true`;
    direct = await connect(directUrl);
    await direct.em.execute(`alter database ${name} set default_transaction_isolation = '${isolation}'`);
  });

  afterAll(() => direct.close());

  describeVehicleStore("PostgreSQL through PgBouncer", async () => {
    await direct.em.execute(
      "drop table if exists vehicles, vehicle_removals, fleet_budget, fleet_leases, fleet_members, mikro_orm_migrations",
    );
    let time = NOON;
    return {
      open: () => open(databaseUrl, () => time),
      setTime: (now) => {
        time = now;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  });
});

describe("through PgBouncer in transaction mode", () => {
  test("without a parameter in the URL, no call fails, and the store stops preparing statements", async () => {
    const logger = new MemoryLogger();
    const databaseUrl = pgBouncer.urlOf(await server.createDatabase("unannounced"));
    await using vehicles = await open(databaseUrl, undefined, logger);
    await using others = await open(databaseUrl, undefined, logger);
    const vins = someVins(200);

    const stored: boolean[] = [];
    for (const vin of vins) {
      stored.push(
        ...(await Promise.all([store(vehicles, { vin }, decodeOf(vin)), store(others, { vin }, decodeOf(vin))])),
      );
    }

    expect(stored).toEqual(vins.flatMap(() => [true, true]));
    expect([vehicles.faults(), others.faults()]).toEqual([
      { reads: 0, writes: 0, removals: 0 },
      { reads: 0, writes: 0, removals: 0 },
    ]);
    expect(logger.lines.map(({ message }) => message)).toContain(
      "a pooler shares PostgreSQL's connections; continuing without prepared statements",
    );
  });

  test("with pgbouncer=true, no session is changed and no statement is prepared", async () => {
    const databaseUrl = `${pgBouncer.urlOf(await server.createDatabase("announced"))}&pgbouncer=true`;
    await using vehicles = await open(databaseUrl);
    const vin = parseVin("1XPWD40X1ED215307");
    const before = server.log.length;

    await store(vehicles, { vin }, decodeOf(vin));
    await vehicles.find({ vin }, "full");
    await vehicles.remove(vin);
    await vehicles.sweep({ vpic: NOON, negative: NOON, snapshot: NOON }, 100);
    await vehicles.ping();
    await using rows = await openExportedRows(parseDatabaseUrl(databaseUrl), () => NOON);
    await Array.fromAsync(rows.batches());

    const statements = server.log.slice(before).filter((line) => line.includes("LOG:"));
    expect(statements.length).toBeGreaterThan(10);
    expect(statements.filter((line) => SESSION_STATE.test(line.replaceAll("execute <unnamed>", "")))).toEqual([]);
  });
});
