import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Database from "better-sqlite3";

import type { DatabaseLocation } from "../../src/cache/database-url.ts";

/** A row of the cache as a test sees it; what is not given is filled in. */
export interface TestRow {
  readonly vin: string;
  readonly modelYearHint?: number;
  readonly make?: string;
  readonly model?: string;
  readonly modelYear?: string;
  readonly bodyClass?: string;
  readonly source?: "vpic" | "snapshot";
  readonly isNegative?: boolean;
  readonly decodedAt?: number;
  readonly verdictCodes?: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

const COLUMNS = `vin, model_year_hint, make, model, model_year, body_class, source, is_negative, decoded_at,
  verdict_codes, verdict_text, suggested_vin, possible_values, additional_text, attributes`;

/** A database with the cache's tables in a directory of its own, and a connection to write to it. */
export class VehicleTable implements AsyncDisposable {
  readonly directory: string;
  readonly location: DatabaseLocation;
  readonly database: Database.Database;
  readonly #put: Database.Statement;

  constructor(directory: string) {
    this.directory = directory;
    const path = join(directory, "vehicles.db");
    this.location = { kind: "sqlite", path };
    this.database = new Database(path);
    this.database.pragma("journal_mode = WAL");
    this.database.pragma("synchronous = NORMAL");
    this.database.exec(`create table vehicles (
      vin text not null, model_year_hint integer not null, make text not null, model text not null,
      model_year text not null, body_class text not null, source text not null, is_negative integer not null,
      decoded_at bigint not null, verdict_codes text not null, verdict_text text not null,
      suggested_vin text not null, possible_values text not null, additional_text text not null,
      attributes text not null, primary key (vin, model_year_hint))`);
    this.database.exec("create index vehicles_age on vehicles (source, is_negative, decoded_at)");
    this.#put = this.database.prepare(
      `insert or replace into vehicles (${COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', '', ?)`,
    );
  }

  static async create(): Promise<VehicleTable> {
    return new VehicleTable(await mkdtemp(join(tmpdir(), "vehicle-export-")));
  }

  /** Writes rows in one transaction. */
  put(rows: Iterable<TestRow>): void {
    this.database.transaction(() => {
      for (const row of rows) {
        this.#put.run(
          row.vin,
          row.modelYearHint ?? 0,
          row.make ?? "PETERBILT",
          row.model ?? "388",
          row.modelYear ?? "2014",
          row.bodyClass ?? "Truck-Tractor",
          row.source ?? "vpic",
          row.isNegative === true ? 1 : 0,
          row.decodedAt ?? 1_700_000_000_000,
          row.verdictCodes ?? "0",
          JSON.stringify(row.attributes ?? {}),
        );
      }
    })();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.database.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}
