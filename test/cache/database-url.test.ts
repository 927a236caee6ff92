import { describe, expect, test } from "vitest";

import { parseDatabaseUrl } from "../../src/cache/database-url.ts";

describe("a database URL", () => {
  test.each([
    ["sqlite:data/vehicles.db", "data/vehicles.db"],
    ["sqlite:./vehicles.db", "./vehicles.db"],
    ["sqlite:/var/lib/vehicles.db", "/var/lib/vehicles.db"],
    ["sqlite:///var/lib/vehicles.db", "/var/lib/vehicles.db"],
    ["sqlite://data/vehicles.db", "data/vehicles.db"],
    ["sqlite:with blank?and#mark.db", "with blank?and#mark.db"],
  ])("%s names a file", (url, path) => {
    const location = parseDatabaseUrl(url);

    expect(location).toEqual({ kind: "sqlite", path });
  });

  test.each(["postgres://user:secret@db:5432/vehicles?sslmode=require", "postgresql://db/vehicles"])(
    "%s names a server",
    (url) => {
      const location = parseDatabaseUrl(url);

      expect(location).toEqual({ kind: "postgres", url });
    },
  );

  test.each([
    ["a slash", "postgres://user:12/secret@db/vehicles"],
    ["a question mark", "postgres://user:12?secret@db/vehicles"],
    ["a hash", "postgres://user:12#secret@db/vehicles"],
    ["a percent sign", "postgres://user:secret%zz@db/vehicles"],
    ["a slash, after letters", "postgres://user:secret/x@db/vehicles"],
    ["any character, without slashes before the user", "postgres:user:secret@db/vehicles"],
  ])(
    "with %s unescaped in the password is refused: errors of the driver would print it as host or database",
    (_, url) => {
      const parse = () => parseDatabaseUrl(url);

      expect(parse).toThrow(/percent-encoded/);
      expect(parse).not.toThrow(/secret/);
    },
  );

  test.each([
    "postgres://user:a%2Fb%40c%25@db:5432/vehicles",
    "postgres://user@db/vehicles?password=a%40b&sslmode=require",
    "postgres:///vehicles?host=/var/run/postgresql",
  ])("%s names a server", (url) => {
    expect(parseDatabaseUrl(url)).toEqual({ kind: "postgres", url });
  });

  test.each([
    ["postgres://db/vehicles?sslmode=verify", /^sslmode: expected one of disable/],
    ["postgres://db/vehicles?sslmode=verify-ca", /needs sslrootcert/],
    ["postgres://db/vehicles?sslcert=/client.pem", /needs both sslcert and sslkey/],
    ["postgres://db/vehicles?pgbouncer=yes", /^pgbouncer: expected true or false/],
  ])("%s is refused with the reason", (url, reason) => {
    expect(() => parseDatabaseUrl(url)).toThrow(reason);
  });

  test.each(["", "vehicles.db", "sqlite:", "sqlite://", "sqlite::memory:", "mysql://user:secret@db/x", "postgres"])(
    "%o is refused without repeating it",
    (url) => {
      const parse = () => parseDatabaseUrl(url);

      expect(parse).toThrow(RangeError);
      expect(parse).not.toThrow(/secret/);
    },
  );
});
