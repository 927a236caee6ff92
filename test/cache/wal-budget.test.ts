import { statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import Database from "better-sqlite3";
import { expect, test } from "vitest";

import { WalBudget } from "../../src/cache/wal-budget.ts";

const MAX_BYTES = 1_048_576;

async function openLoggedDatabase() {
  const directory = await mkdtemp(join(tmpdir(), "log-budget-"));
  const path = join(directory, "test.db");
  const writer = new Database(path);
  writer.pragma("journal_mode = WAL");
  writer.exec("create table t (x blob)");
  const reader = new Database(path);
  const insert = writer.prepare("insert into t values (randomblob(65536))");
  return {
    writer,
    write: (count: number) => {
      for (let written = 0; written < count; written++) {
        insert.run();
      }
    },
    pin: () => {
      reader.exec("begin");
      reader.prepare("select count(*) from t").get();
    },
    unpin: () => {
      reader.exec("commit");
    },
    logBytes: () => statSync(`${path}-wal`).size,
    [Symbol.asyncDispose]: async () => {
      reader.close();
      writer.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

test("there is room while the log is small", async () => {
  await using database = await openLoggedDatabase();
  const budget = new WalBudget(database.writer, database.logBytes, { maxBytes: MAX_BYTES });
  database.write(2);

  const hasRoom = await budget.waitForRoom();

  expect(hasRoom).toBe(true);
});

test("writes that ask first keep the log within its limit, however long a reader pins it", async () => {
  await using database = await openLoggedDatabase();
  const budget = new WalBudget(database.writer, database.logBytes, { maxBytes: MAX_BYTES, timeoutMs: 0 });
  database.pin();

  let refused = 0;
  for (let asked = 0; asked < 100; asked++) {
    if (await budget.waitForRoom()) {
      database.write(1);
    } else {
      refused++;
    }
  }

  expect(refused).toBeGreaterThan(50);
  expect(database.logBytes()).toBeLessThan(MAX_BYTES + 2 * 65_536 + 65_536);
});

test("a waiting write continues when the reader is done", async () => {
  await using database = await openLoggedDatabase();
  const budget = new WalBudget(database.writer, database.logBytes, { maxBytes: MAX_BYTES, timeoutMs: 10_000 });
  database.pin();
  database.write(40);
  const waiting = budget.waitForRoom();

  database.unpin();

  expect(await waiting).toBe(true);
});

test("a write is refused when it waits too long", async () => {
  await using database = await openLoggedDatabase();
  const budget = new WalBudget(database.writer, database.logBytes, { maxBytes: MAX_BYTES, timeoutMs: 50 });
  database.pin();
  database.write(40);

  const hasRoom = await budget.waitForRoom();

  expect(hasRoom).toBe(false);
});

test("a large log whose content is all in the database has room", async () => {
  await using database = await openLoggedDatabase();
  const budget = new WalBudget(database.writer, database.logBytes, { maxBytes: MAX_BYTES, timeoutMs: 0 });
  database.pin();
  database.write(40);
  database.unpin();

  const hasRoom = await budget.waitForRoom();

  expect(database.logBytes()).toBeGreaterThan(MAX_BYTES);
  expect(hasRoom).toBe(true);
  database.write(1);
  expect(database.logBytes()).toBeLessThan(MAX_BYTES);
});
