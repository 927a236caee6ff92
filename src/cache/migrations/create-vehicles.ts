import { randomInt } from "node:crypto";

import { Migration } from "@mikro-orm/migrations";

/**
 * Large enough that two databases never begin with the same generation, small enough that it can grow without limit in
 * a double.
 */
const HIGHEST_FIRST_GENERATION = 2 ** 47;

export class CreateVehicles extends Migration {
  override readonly name = "create-vehicles";

  override up(): void {
    this.addSql(`create table vehicles (
      vin text not null,
      model_year_hint integer not null,
      make text not null,
      model text not null,
      model_year text not null,
      body_class text not null,
      source text not null,
      is_negative integer not null,
      decoded_at bigint not null,
      verdict_codes text not null,
      verdict_text text not null,
      suggested_vin text not null,
      possible_values text not null,
      additional_text text not null,
      attributes text not null,
      primary key (vin, model_year_hint)
    )`);
    this.addSql("create index vehicles_age on vehicles (source, is_negative, decoded_at)");
    this.addSql(`create table vehicle_removals (
      vin text not null primary key,
      generation bigint not null,
      removed_at bigint not null
    )`);
    // A database that replaces a lost one must not begin with a number that decodes in flight have read.
    const firstGeneration = randomInt(HIGHEST_FIRST_GENERATION);
    this.addSql(`insert into vehicle_removals (vin, generation, removed_at) values ('', ${firstGeneration}, 0)`);
  }
}
