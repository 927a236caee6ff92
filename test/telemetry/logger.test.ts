import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

import Database from "better-sqlite3";
import { expect, test, vi } from "vitest";

import type { LogLevel, LogVins } from "../../src/telemetry/logger.ts";
import { createLogger, LOG_LEVELS, openTerminalLog } from "../../src/telemetry/logger.ts";
import { onBehalfOf } from "../../src/telemetry/request-context.ts";
import { connect } from "../support/postgres.ts";
import { createSharedDatabase } from "../support/shared.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The line that a logger writes for an error, as text and parsed. */
function written(err: unknown): { text: string; err: Record<string, unknown> } {
  let text = "";
  createLogger("info", { write: (line) => (text += line) }).error("it failed", { err });
  return { text, ...JSON.parse(text) };
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new TypeError("nothing was thrown");
}

test("audit lines are written at every level, even `silent`", () => {
  const lines: unknown[] = [];

  for (const level of LOG_LEVELS) {
    createLogger(level, { write: (line) => lines.push(JSON.parse(line)) }).audit("audit", { level_set: level });
  }

  expect(lines).toMatchObject(
    LOG_LEVELS.map((level: LogLevel) => ({ level: "info", msg: "audit", level_set: level, time: expect.any(String) })),
  );
});

test.each<[LogVins, string | undefined, string | undefined]>([
  ["full", "1XPWD40X1ED215307", "1XPWD40X1ED215307"],
  ["partial", "1XPWD40X1ED******", "1XPWD40X1ED215307"],
  ["off", undefined, undefined],
])("with LOG_VINS=%s lines have the VIN %s, and audit lines %s", (vins, vin, audited) => {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger("info", { write: (line) => lines.push(JSON.parse(line)) }, null, vins);

  logger.info("call was slow", { vin: "1XPWD40X1ED215307" });
  logger.audit("audit", { vin: "1XPWD40X1ED215307" });

  expect(lines.map((line) => line["vin"])).toEqual([vin, audited]);
});

test("a terminal gets lines for people to read, and other streams get JSON", async () => {
  let text = "";
  const write = (chunk: Buffer, _: unknown, done: () => void): void => {
    text += chunk.toString();
    done();
  };
  const terminal = Object.assign(new Writable({ write }), { isTTY: true });

  const log = await openTerminalLog(terminal);
  createLogger("info", log).info("listening", { grpc: "127.0.0.1:50051" });

  await vi.waitFor(() =>
    expect(stripVTControlCharacters(text)).toMatch(/INFO: listening \{"grpc":"127.0.0.1:50051"\}/),
  );
  expect(await openTerminalLog(Object.assign(terminal, { isTTY: false }))).toBe(undefined);
});

test("a line has the id of the request on whose behalf it is written, unless it gives another id", async () => {
  const lines: unknown[] = [];
  const logger = createLogger("info", { write: (line) => lines.push(JSON.parse(line).requestId) });

  await onBehalfOf("first", async () => {
    await Promise.resolve();
    logger.info("deep down");
    logger.audit("audit", { requestId: "second" });
  });
  logger.info("afterwards");

  expect(lines).toEqual(["first", "second", undefined]);
});

test("frames and messages name files relative to the service", () => {
  const error = new Error(`cannot open ${ROOT}data/x`);

  const line = written(error);

  expect(line.err).toMatchObject({ type: "Error", message: "cannot open data/x" });
  expect(line.err["stack"]).toMatch(/^ {4}at .*test\/telemetry\/logger\.test\.ts:\d+:\d+/);
  expect(line.text).not.toContain(ROOT);
  expect(line.text).not.toContain("file://");
});

test("a real error of SQLite is logged without statement and parameters", () => {
  const database = new Database(":memory:");
  database.exec("create table vehicle (vin text unique)");
  const insert = database.prepare("insert into vehicle values (?)");
  insert.run("SECRET");

  const line = written(thrownBy(() => insert.run("SECRET")));

  database.close();
  expect(line.err).toMatchObject({ type: "SqliteError", code: "SQLITE_CONSTRAINT_UNIQUE" });
  expect(line.text).not.toMatch(/SECRET|insert into/);
});

test("a real error of PostgreSQL is logged without statement and values", async () => {
  const orm = await connect(await createSharedDatabase("logged"));
  const connection = orm.em.getConnection();
  await connection.execute("create table vehicle (vin text unique)");
  await connection.execute("insert into vehicle values (?)", ["SECRET"]);

  const error: unknown = await connection
    .execute("insert into vehicle values (?)", ["SECRET"])
    .catch((e: unknown) => e);
  const line = written(error);

  await orm.close();
  expect(line.err).toMatchObject({ message: expect.stringContaining("duplicate key"), code: "23505" });
  expect(line.text).not.toMatch(/SECRET|insert into/);
});

test("only the type, message, code, frames and causes of an error are logged", () => {
  const cause = Object.assign(new TypeError("inner"), { code: "23505", detail: "Key (vin)=(SECRET)", query: "select" });
  const error = Object.assign(new Error("outer", { cause }), { sql: "insert", parameters: ["SECRET"] });

  const line = written(error);

  expect(line.err).toEqual({
    type: "Error",
    message: "outer",
    stack: expect.any(String),
    cause: { type: "TypeError", message: "inner", code: "23505", stack: expect.any(String) },
  });
});

test("the errors inside an AggregateError are logged, and circular causes come to an end", () => {
  const many = new AggregateError([new Error("first"), "second"], "all failed");
  const circle = new Error("circle");
  circle.cause = circle;

  expect(written(many).err).toMatchObject({ errors: [{ message: "first" }, "second"] });
  expect(written(circle).text.match(/"circle"/g)).toHaveLength(6);
  expect(written({ password: "SECRET" }).err).toBe("not an error: object");
});
