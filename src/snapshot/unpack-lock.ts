import Database from "better-sqlite3";

const WAIT_PER_TRY_MS = 100;
const MAX_TRIES = 600;

/** Given back when disposed of. */
export interface UnpackLock extends Disposable {
  /** False when another process has held it for too long. */
  readonly isHeld: boolean;
}

/**
 * Makes processes that start together unpack one after the other, so that all but the first find the work done. SQLite
 * locks the file for us: such a lock ends with its process, however that ends.
 *
 * @param onWait called once when another process holds the lock.
 * @returns the lock, after a minute of waiting not held: unpacking twice is wasteful but not wrong.
 */
export async function acquireUnpackLock(path: string, onWait: () => void): Promise<UnpackLock> {
  const database = new Database(path, { timeout: WAIT_PER_TRY_MS });
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    try {
      database.exec("BEGIN EXCLUSIVE");
      return toLock(database, true);
    } catch (error) {
      if (!(error instanceof Database.SqliteError) || error.code !== "SQLITE_BUSY") {
        database.close();
        throw error;
      }
      if (tries === 0) {
        onWait();
      }
      // Between the tries the thread must be able to stop.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return toLock(database, false);
}

function toLock(database: Database.Database, isHeld: boolean): UnpackLock {
  return { isHeld, [Symbol.dispose]: () => database.close() };
}
