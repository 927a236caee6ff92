import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { MikroORM as PostgresOrm } from "@mikro-orm/postgresql";
import { MikroORM as SqliteOrm } from "@mikro-orm/sqlite";
import { expect, test } from "vitest";

import { mikroOptions } from "../../src/cache/mikro-options.ts";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { ALL_COLUMNS } from "../../src/cache/vehicle-row.ts";
import { PostgresServer } from "../support/postgres.ts";
import { silentLogger } from "../support/silent-logger.ts";

test("the migrations make the tables that the entities describe, in SQLite", async () => {
  const directory = await mkdtemp(join(tmpdir(), "vehicle-migrations-"));
  const path = join(directory, "vehicles.db");
  await using store = await openVehicleStore({ databaseUrl: `sqlite:${path}`, logger: silentLogger });
  await store.ping();
  const orm = await SqliteOrm.init({ ...mikroOptions(silentLogger), dbName: path });

  const difference = await orm.schema.getUpdateSchemaSQL({ wrap: false });
  const columns = await orm.em.execute<{ name: string }[]>("pragma table_info(vehicles)");

  expect(difference).toBe("");
  expect(columns.map(({ name }) => name)).toEqual([...ALL_COLUMNS]);
  await orm.close();
  await rm(directory, { recursive: true });
});

test("the migrations make the tables that the entities describe, in PostgreSQL", async () => {
  await using server = await PostgresServer.start();
  const databaseUrl = await server.createDatabase("migrations");
  await using store = await openVehicleStore({ databaseUrl, logger: silentLogger });
  await store.ping();
  const orm = await PostgresOrm.init({
    ...mikroOptions(silentLogger),
    dbName: "migrations",
    driverOptions: { connectionString: databaseUrl },
  });

  const difference = await orm.schema.getUpdateSchemaSQL({ wrap: false });

  expect(difference).toBe("");
  await orm.close();
});
