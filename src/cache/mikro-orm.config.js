/**
 * The configuration for MikroORM's command line, which cannot read TypeScript by itself: `npm run migrate -- pending`,
 * `up` or `check`. Uses the service's database: DATABASE_URL, or else the SQLite file in DATA_DIR.
 */
import { defineConfig as definePostgres } from "@mikro-orm/postgresql";
import { defineConfig as defineSqlite } from "@mikro-orm/sqlite";
import { parseDatabaseUrl } from "./database-url.ts";
import { mikroOptions } from "./mikro-options.ts";

const { DATA_DIR = "data", DATABASE_URL = "sqlite:$DATA_DIR/vehicles.db" } = process.env;
const location = parseDatabaseUrl(DATABASE_URL.replace("$DATA_DIR", DATA_DIR));
const options = mikroOptions({ debug: () => undefined });

export default location.kind === "sqlite"
  ? defineSqlite({ ...options, dbName: location.path })
  : definePostgres({
      ...options,
      dbName: decodeURIComponent(new URL(location.url).pathname.slice(1)) || "postgres",
      ensureDatabase: false,
      driverOptions: { connectionString: location.url },
    });
