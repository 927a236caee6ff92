import { Migration } from "@mikro-orm/migrations";

/** Adds what processes coordinate through. See the entities. */
export class CreateFleet extends Migration {
  override readonly name = "create-fleet";

  override up(): void {
    this.addSql(`create table if not exists fleet_budget (
      id integer not null primary key,
      spent_until bigint not null,
      probe_at bigint not null
    )`);
    this.addSql("insert into fleet_budget (id, spent_until, probe_at) values (1, 0, 0) on conflict (id) do nothing");
    this.addSql(`create table if not exists fleet_leases (
      vin text not null primary key,
      holder text not null,
      expires_at bigint not null
    )`);
    this.addSql(`create table if not exists fleet_members (
      id text not null primary key,
      seen_at bigint not null
    )`);
  }
}
