/**
 * The configuration for MikroORM's command line, which cannot read TypeScript by itself: `npm run migrate -- pending`,
 * `up` or `check`. Uses the service's database, as configured by the environment.
 */
import { readFileSync } from "node:fs";
import { defineConfig as definePostgres } from "@mikro-orm/postgresql";
import { defineConfig as defineSqlite } from "@mikro-orm/sqlite";
import { parseDatabaseUrl } from "./database-url.ts";
import { mikroOptions } from "./mikro-options.ts";
import { postgresOptions } from "./postgres-connection.ts";

const { DATA_DIR = "data", DATABASE_URL = "sqlite:$DATA_DIR/vehicles.db", DATABASE_URL_FILE } = process.env;
const databaseUrl = DATABASE_URL_FILE ? readFileSync(DATABASE_URL_FILE, "utf8").trim() : DATABASE_URL;
const location = parseDatabaseUrl(databaseUrl.replace("$DATA_DIR", DATA_DIR));
const options = mikroOptions({ debug: () => undefined });

export default location.kind === "sqlite"
  ? defineSqlite({ ...options, dbName: location.path })
  : definePostgres({ ...options, ...(await postgresOptions(location.url)) });
