import { Migration } from "@mikro-orm/migrations";

/**
 * Adds our own guess and the date of the snapshot's data. Both may be null, so that replicas of version 0.1.0, which do
 * not know them, can go on writing.
 */
export class AddLikelyVin extends Migration {
  override readonly name = "add-likely-vin";

  override up(): void {
    this.addSql("alter table vehicles add column likely_vin text null");
    this.addSql("alter table vehicles add column data_date text null");
    // Version 0.1.0 kept its own guesses among NHTSA's suggestions. NHTSA suggests a VIN only with codes 2 to 5.
    this.addSql(`update vehicles set suggested_vin = ''
      where suggested_vin <> '' and suggested_vin not like '%!%' and ',' || verdict_codes || ',' like '%,1,%'
      and ',' || verdict_codes || ',' not like '%,2,%'
      and ',' || verdict_codes || ',' not like '%,3,%' and ',' || verdict_codes || ',' not like '%,4,%'
      and ',' || verdict_codes || ',' not like '%,5,%'`);
  }
}
