import { expect, test } from "vitest";
import { openVehicleStore } from "../../src/cache/open-vehicle-store.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

test.each([
  "postgres://root:geheim@127.0.0.1:1/vehicles",
  "postgres://127.0.0.1:1/vehicles?user=root&password=geheim",
  "postgres://root:geheim@127.0.0.1:1/vehicles?sslmode=verify-full&sslrootcert=/does/not/exist",
  "postgres://root:geheim@host.invalid/vehicles",
])("a database that cannot be reached does not bring the password of %s into the log", async (databaseUrl) => {
  const lines: string[] = [];
  const logger = createLogger("debug", { write: (line) => lines.push(line) });

  await using store = await openVehicleStore({ databaseUrl, logger });
  const fault = await store.ping().catch((error: unknown) => error);
  logger.error("cannot start", { err: fault });

  expect(lines.join("")).toContain("cannot open the cache database");
  expect(lines.join("")).not.toContain("geheim");
});
