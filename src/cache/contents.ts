import type { SqlEntityManager } from "@mikro-orm/sql";

/** Entries of one kind. */
interface EntryCount {
  /** `vpic` or `snapshot`. */
  readonly source: string;
  /** Whether the source could not decode them. */
  readonly isNegative: boolean;
  readonly count: number;
  /** When the oldest was decoded, in ms since the epoch. */
  readonly oldestAt: number;
}

/** Figures of a cache. */
export interface StoreContents {
  readonly entries: readonly EntryCount[];
  /** The size of the tables in the database. */
  readonly bytes: number;
}

/** The index for sweeping has all of these columns, so no entry is read. A million entries take about 50 ms. */
const COUNT_ENTRIES = `select source, is_negative, count(*) as entries, min(decoded_at) as oldest
  from vehicles group by source, is_negative order by source desc, is_negative`;

/**
 * Counts the entries.
 *
 * @param sizeQuery SQL that gives the size of the database as `bytes`.
 */
export async function readContents(em: SqlEntityManager, sizeQuery: string): Promise<StoreContents> {
  const rows: Record<string, unknown>[] = await em.execute(COUNT_ENTRIES);
  const [size]: Record<string, unknown>[] = await em.execute(sizeQuery);
  return {
    entries: rows.map(({ source, is_negative: isNegative, entries, oldest }) => ({
      source: String(source),
      isNegative: Number(isNegative) === 1,
      // PostgreSQL's driver gives big integers as text.
      count: Number(entries),
      oldestAt: Number(oldest),
    })),
    bytes: Number(size?.["bytes"]),
  };
}
