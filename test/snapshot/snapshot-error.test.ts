import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { SnapshotError, toSnapshotError } from "../../src/snapshot/snapshot-error.ts";

function withCode(code: string): Error {
  return Object.assign(new Error("ENOSPC: no space left on device, write '/secret/place'"), { code });
}

test.each([
  ["a full disk, from Node", withCode("ENOSPC"), "data directory", "the disk is full"],
  ["a full disk, from SQLite", new Database.SqliteError("full", "SQLITE_FULL"), "data directory", "the disk is full"],
  ["a read-only disk", withCode("EROFS"), "data directory", "it cannot be written to"],
  [
    "a read-only file",
    new Database.SqliteError("no", "SQLITE_READONLY_DBMOVED"),
    "data directory",
    "it cannot be written to",
  ],
  ["truncated gzip data", withCode("Z_BUF_ERROR"), "database", "its compressed data is truncated"],
  ["damaged pages", new Database.SqliteError("bad", "SQLITE_CORRUPT_INDEX"), "database", "it is damaged"],
  ["anything else", new Error("/secret/place"), "data directory", "unpacking failed"],
  ["no error at all", "oops", "data directory", "unpacking failed"],
])("explains %s without paths", (_, error, culprit, message) => {
  const explained = toSnapshotError(error);

  expect(explained).toMatchObject({ culprit, message, cause: error });
});

test("leaves a SnapshotError unchanged", () => {
  const error = new SnapshotError("database", "it is not usable");

  const explained = toSnapshotError(error);

  expect(explained).toBe(error);
});
