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

  test.each(["", "vehicles.db", "sqlite:", "sqlite://", "sqlite::memory:", "mysql://user:secret@db/x", "postgres"])(
    "%o is refused without repeating it",
    (url) => {
      const parse = () => parseDatabaseUrl(url);

      expect(parse).toThrow(RangeError);
      expect(parse).not.toThrow(/secret/);
    },
  );
});
