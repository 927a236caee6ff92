import { Migration } from "@mikro-orm/migrations";

/**
 * Adds our own guess and the date of the snapshot's data. Both may be null, so that replicas of version 0.1.0, which do
 * not know them, can still write. No row is changed, so that even large tables are migrated at once.
 */
export class AddLikelyVin extends Migration {
  override readonly name = "add-likely-vin";

  override up(): void {
    this.addSql("alter table vehicles add column likely_vin text null");
    this.addSql("alter table vehicles add column data_date text null");
  }
}
