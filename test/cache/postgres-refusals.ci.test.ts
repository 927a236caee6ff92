import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OpenVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { aVehicle } from "../support/a-vehicle.ts";
import { connect, PostgresServer } from "../support/postgres.ts";
import { silentLogger } from "../support/silent-logger.ts";

let server: PostgresServer;
/** The URL of the database, with its owner as the user. */
let url: string;

beforeAll(async () => {
  server = await PostgresServer.start({
    files: { "pg_hba.conf": "local all strict scram-sha-256\nlocal all all trust\n" },
  });
  url = await server.createDatabase("refusals");
  const orm = await connect(url);
  await orm.em.execute("create role strict login password 'right'");
  await orm.em.execute("create role powerless login");
  await orm.em.execute("create role modest login");
  await orm.em.execute("grant usage, create on schema public to modest");
  await orm.close();
});

afterAll(() => server[Symbol.asyncDispose]());

/** The URL with another user, and perhaps a database. */
function urlOf(user: string, database = "refusals"): string {
  return url.replace("postgres@", `${user}@`).replace("/refusals", `/${database}`);
}

function open(databaseUrl: string, requireDatabase = false): Promise<OpenVehicleStore> {
  return openVehicleStore({ databaseUrl, requireDatabase, logger: silentLogger });
}

describe("a start fails with the reason", () => {
  test.each([
    ["the password is wrong", () => urlOf("strict:wrong"), /^DATABASE_URL: PostgreSQL refuses the password$/],
    ["the database does not exist", () => urlOf("postgres", "nowhere"), /^DATABASE_URL: the database does not exist$/],
    ["the user may not create tables", () => urlOf("powerless"), /^DATABASE_URL: the user lacks a right; it needs/],
  ])("when %s", async (_, urlOfCase, reason) => {
    await expect(open(urlOfCase())).rejects.toThrow(reason);
  });

  test("when there is no schema to create the tables in", async () => {
    const orm = await connect(url);
    await orm.em.execute("alter role modest set search_path = nowhere");

    const opening = open(urlOf("modest"));

    await expect(opening).rejects.toThrow(/^DATABASE_URL: the schema does not exist$/);
    await orm.em.execute("alter role modest reset search_path");
    await orm.close();
  });
});

test("the rights in the documentation are enough", async () => {
  await using store = await open(urlOf("modest"));
  const decode = aVehicle();
  const query = { vin: decode.vin };

  const stored = await store.put(query, decode, await store.removalsOf(decode.vin));
  const found = await store.find(query, "full");
  const removed = await store.remove(decode.vin);

  expect([stored, found?.make, removed]).toEqual([true, decode.make, true]);
});

describe("a database that does not answer", () => {
  const away = "postgres://nobody@127.0.0.1:1/any";

  test("does not stop the start", async () => {
    await using store = await open(away);

    expect(store.isUp).toBe(false);
  });

  test("stops the start when it is required", async () => {
    await expect(open(away, true)).rejects.toThrow(/^DATABASE_URL: REQUIRE_DATABASE is set, .*ECONNREFUSED/);
  });
});
