import { setImmediate } from "node:timers/promises";
import type { Database } from "better-sqlite3";
import type { PostgresSession } from "./postgres-connection.ts";

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

// The index for sweeping has all columns of these queries, so no entry is read.

const COUNT_ENTRIES = `select source, is_negative, count(*), min(decoded_at)
  from vehicles group by source, is_negative order by source desc, is_negative`;
const POSTGRES_SIZE = "select pg_total_relation_size('vehicles')";

/**
 * Counts the entries in PostgreSQL.
 *
 * @param session in a transaction, whose timeouts apply.
 */
export async function readPostgresContents(session: PostgresSession): Promise<StoreContents> {
  const { rows } = await session.query({ text: COUNT_ENTRIES, rowMode: "array" });
  const { rows: sizes } = await session.query({ text: POSTGRES_SIZE, rowMode: "array" });
  return {
    entries: rows.map(([source, isNegative, count, oldestAt]) => ({
      source: String(source),
      isNegative: isNegative === 1,
      // The driver gives big integers as text.
      count: Number(count),
      oldestAt: Number(oldestAt),
    })),
    bytes: Number(sizes[0]?.[0]),
  };
}

const KINDS = [
  { source: "vpic", isNegative: false },
  { source: "vpic", isNegative: true },
  { source: "snapshot", isNegative: false },
  { source: "snapshot", isNegative: true },
];
const OF_KIND_AFTER = "from vehicles where source = ? and is_negative = ? and (decoded_at, rowid) > (?, ?)";
const SQLITE_SIZE = "select page_count * page_size from pragma_page_count(), pragma_page_size()";

/** Reads are synchronous. After this many entries, 1 to 2 ms, other work gets its turn. */
const ENTRIES_PER_TURN = 10_000;

/** Before the first entry of a kind. */
const START: Place = [Number.MIN_SAFE_INTEGER, 0];

type Kind = [source: string, isNegative: number];
type Place = [decodedAt: number, rowId: number];

/** Counts the entries in a SQLite file, a portion in each turn of the event loop. */
export async function readSqliteContents(client: Database): Promise<StoreContents> {
  const findAfter = client
    .prepare<[...Kind, ...Place, skipped: number], Place>(
      `select decoded_at, rowid ${OF_KIND_AFTER} order by decoded_at, rowid limit 1 offset ?`,
    )
    .raw(true);
  const countAfter = client.prepare<[...Kind, ...Place], number>(`select count(*) ${OF_KIND_AFTER}`).pluck(true);
  const entries: EntryCount[] = [];
  for (const { source, isNegative } of KINDS) {
    const kind: Kind = [source, Number(isNegative)];
    const first = findAfter.get(...kind, ...START, 0);
    let place = START;
    let count = 0;
    for (let last = first; last !== undefined;) {
      last = findAfter.get(...kind, ...place, ENTRIES_PER_TURN - 1);
      count += last === undefined ? (countAfter.get(...kind, ...place) ?? 0) : ENTRIES_PER_TURN;
      place = last ?? place;
      await setImmediate();
    }
    if (first !== undefined) {
      entries.push({ source, isNegative, count, oldestAt: first[0] });
    }
  }
  return { entries, bytes: client.prepare<[], number>(SQLITE_SIZE).pluck(true).get() ?? 0 };
}
