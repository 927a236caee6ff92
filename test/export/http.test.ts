import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http";
import { connect as connectHttp2, constants, createServer as createHttp2Server } from "node:http2";

import { asyncBufferFromUrl, parquetReadObjects } from "hyparquet";
import { expect, test, vi } from "vitest";

import { ExportFailedError } from "../../src/export/errors.ts";
import { ExportSpool } from "../../src/export/export-spool.ts";
import { createExportHandler } from "../../src/export/http.ts";
import type { VehicleExportsOptions } from "../../src/export/vehicle-exports.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { openExports } from "./open-exports.ts";
import { queryParquet } from "./read-parquet.ts";
import { VehicleTable } from "./vehicle-table.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

interface Overrides {
  readonly exports?: Partial<VehicleExportsOptions>;
  readonly maxFiles?: number;
  readonly stallMs?: number;
  readonly maxMs?: number;
  readonly logger?: Logger;
  /** Whether to speak HTTP/2 instead of HTTP/1.1. */
  readonly http2?: boolean;
}

/** A server that exports a table, with the client's name in a header, and a clock that the test sets. */
async function serve(table: VehicleTable, overrides: Overrides = {}) {
  await using stack = new AsyncDisposableStack();
  const exports = stack.use(await openExports(table, overrides.exports));
  const clock = { now: 1_800_000_000_000 };
  const created = vi.fn<(client: string) => void>();
  const spool = stack.use(
    new ExportSpool({
      create: (client, signal) => {
        created(client);
        return exports.createShared(client, signal);
      },
      now: () => clock.now,
      maxFiles: overrides.maxFiles ?? 4,
    }),
  );
  const { stallMs = 30_000, maxMs = 600_000, logger = silent } = overrides;
  const handler = createExportHandler({ exports, spool, logger, stallMs, maxMs });
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    void handler(request, response, String(request.headers["x-client"] ?? "client"));
  };
  const server = overrides.http2 === true ? createHttp2Server() : createServer();
  server.on("request", answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stack.defer(async () => {
    if ("closeAllConnections" in server) {
      server.closeAllConnections();
    }
    server.close();
    await once(server, "close");
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const cleanUp = stack.move();
  return {
    url: `http://127.0.0.1:${port}/export.parquet`,
    http: server,
    clock,
    created,
    [Symbol.asyncDispose]: () => cleanUp.disposeAsync(),
  };
}

function vin(index: number): string {
  return `1XPWD40X${String(index).padStart(9, "0")}`;
}

async function tableOf(count: number): Promise<VehicleTable> {
  const table = await VehicleTable.create();
  table.put(
    Array.from({ length: count }, (_, index) => ({
      vin: vin(index),
      attributes: { Note: `row ${index}` },
    })),
  );
  return table;
}

async function bodyOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

test("a plain GET downloads a whole file that DuckDB reads", async () => {
  await using table = await tableOf(2_000);
  await using server = await serve(table);

  const response = await fetch(server.url);
  const bytes = await bodyOf(response);

  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("application/vnd.apache.parquet");
  expect(response.headers.get("content-length")).toBe(String(bytes.length));
  expect(response.headers.get("content-disposition")).toMatch(
    /^attachment; filename="vehicles-\d{8}T\d{6}Z\.parquet"$/,
  );
  expect(response.headers.get("accept-ranges")).toBe("bytes");
  expect(await queryParquet(bytes, "select count(*)::int as count from $file")).toEqual([{ count: 2_000 }]);
});

test("hyparquet reads the URL by ranges, all of one file, although rows change meanwhile", async () => {
  await using table = await tableOf(2_000);
  await using server = await serve(table);

  const file = await asyncBufferFromUrl({ url: server.url });
  table.database.exec("delete from vehicles where vin like '%1'");
  const rows = await parquetReadObjects({ file, columns: ["vin", "attributes"] });

  expect(rows).toHaveLength(2_000);
  expect(rows.at(-1)).toEqual({ vin: "1XPWD40X000001999", attributes: { Note: "row 1999" } });
  expect(server.created).toHaveBeenCalledTimes(1);
});

test("HEAD tells what GET of the same file would, without a body", async () => {
  await using table = await tableOf(10);
  await using server = await serve(table);

  const head = await fetch(server.url, { method: "HEAD" });
  const ranged = await fetch(server.url, { headers: { Range: "bytes=0-" } });

  expect(head.status).toBe(200);
  expect(await head.text()).toBe("");
  expect(ranged.headers.get("content-length")).toBe(head.headers.get("content-length"));
  expect(ranged.headers.get("etag")).toBe(head.headers.get("etag"));
});

test.each([
  ["bytes=0-3", 206, [0, 4]],
  ["bytes=4-", 206, [4, undefined]],
  ["bytes=-4", 206, [-4, undefined]],
  ["bytes=100-99999999", 206, [100, undefined]],
  ["bytes=-99999999", 206, [0, undefined]],
  ["bytes=0-1,4-5", 200, [0, undefined]],
  ["bytes=5-2", 200, [0, undefined]],
  ["lines=0-3", 200, [0, undefined]],
  ["bytes=", 200, [0, undefined]],
] as const)("Range %s is answered with %i and the right bytes", async (range, status, [start, end]) => {
  await using table = await tableOf(100);
  await using server = await serve(table);
  const whole = await bodyOf(await fetch(server.url, { headers: { Range: "bytes=0-" } }));

  const response = await fetch(server.url, { headers: { Range: range } });
  const bytes = await bodyOf(response);

  expect(response.status).toBe(status);
  expect(bytes.equals(whole.subarray(start, end))).toBe(true);
  expect(response.headers.get("content-length")).toBe(String(bytes.length));
  const from = start < 0 ? whole.length + start : start;
  const expected = status === 206 ? `bytes ${from}-${from + bytes.length - 1}/${whole.length}` : null;
  expect(response.headers.get("content-range")).toBe(expected);
});

test.each(["bytes=99999999-", "bytes=-0"])("Range %s cannot be satisfied", async (range) => {
  await using table = await tableOf(1);
  await using server = await serve(table);
  const head = await fetch(server.url, { method: "HEAD" });

  const response = await fetch(server.url, { headers: { Range: range } });

  expect(response.status).toBe(416);
  expect(response.headers.get("content-range")).toBe(`bytes */${head.headers.get("content-length")}`);
});

test("If-Range gives the part of the same file, and the whole of another", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table);
  const head = await fetch(server.url, { method: "HEAD" });
  const etag = head.headers.get("etag") ?? "";

  const same = await fetch(server.url, { headers: { Range: "bytes=0-3", "If-Range": etag } });
  const other = await fetch(server.url, { headers: { Range: "bytes=0-3", "If-Range": '"another"' } });

  expect([same.status, await same.text()]).toEqual([206, "PAR1"]);
  expect(other.status).toBe(200);
});

test("If-None-Match of the kept file needs no body", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table);
  const head = await fetch(server.url, { method: "HEAD" });

  const same = await fetch(server.url, { headers: { "If-None-Match": head.headers.get("etag") ?? "" } });
  const other = await fetch(server.url, { headers: { "If-None-Match": '"another"' } });

  expect(same.status).toBe(304);
  expect(other.status).toBe(200);
});

test("clients do not see each other's files", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table);

  const first = await fetch(server.url, { method: "HEAD", headers: { "X-Client": "first" } });
  const second = await fetch(server.url, { method: "HEAD", headers: { "X-Client": "second" } });

  expect(first.headers.get("etag")).not.toBe(second.headers.get("etag"));
});

test("many requests at once of one client are answered from one file, and only its writing counts", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table, { exports: { limits: { perClient: 1, perProcess: 1 } } });

  const responses = await Promise.all(
    Array.from({ length: 20 }, () => fetch(server.url, { headers: { Range: "bytes=0-3" } })),
  );

  expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 206));
  expect(server.created).toHaveBeenCalledTimes(1);
});

test("a kept file that is too old is not given to new requests", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table);
  const before = await fetch(server.url, { method: "HEAD" });

  server.clock.now += 300_000;
  const after = await fetch(server.url, { method: "HEAD" });

  expect(after.headers.get("etag")).not.toBe(before.headers.get("etag"));
});

test("the file that was not used for longest makes room for another client's", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table, { maxFiles: 2 });
  for (const client of ["a", "b", "a", "c", "a", "b"]) {
    await fetch(server.url, { method: "HEAD", headers: { "X-Client": client } });
  }

  const created = server.created.mock.calls.map(([client]) => client);

  expect(created).toEqual(["a", "b", "c", "b"]);
});

test("too many exports are refused with the time to wait", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table, { exports: { limits: { perClient: 0, perProcess: 0 } } });

  const response = await fetch(server.url);

  expect(response.status).toBe(429);
  expect(response.headers.get("retry-after")).toBe("5");
});

test("without room on the disk the answer is 507, and names no path", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table, { exports: { keepFreeBytes: Number.MAX_SAFE_INTEGER } });

  const response = await fetch(server.url);

  expect(response.status).toBe(507);
  expect(await response.text()).toBe("there is no room for an export\n");
});

test("an export that fails is answered with one neutral sentence", async () => {
  await using table = await tableOf(1);
  table.database.exec("drop table vehicles");
  await using server = await serve(table);

  const response = await fetch(server.url);

  expect(response.status).toBe(500);
  expect(await response.text()).toBe("the export failed\n");
});

test("only GET and HEAD are allowed", async () => {
  await using table = await tableOf(1);
  await using server = await serve(table);

  const response = await fetch(server.url, { method: "POST" });

  expect(response.status).toBe(405);
  expect(response.headers.get("allow")).toBe("GET, HEAD");
});

test.each([{}, { Range: "bytes=0-" }])("a reader that takes nothing is cut off (%o)", async (headers) => {
  await using table = await VehicleTable.create();
  // More than the buffers of two sockets hold.
  table.put(
    Array.from({ length: 800 }, (_, index) => ({ vin: vin(index), attributes: { Note: incompressible(40_000) } })),
  );
  await using server = await serve(table, { stallMs: 200, exports: { stallMs: 200 } });
  const served = once(server.http, "request");
  const request = httpRequest(server.url, { headers });
  request.on("response", (response) => response.pause());
  request.end();

  const [, response] = await served;
  await once(response, "close");

  expect(response).toMatchObject({ headersSent: true, writableFinished: false });
  request.destroy();
});

test("an export that takes too long is cut off, however steadily it is read", async () => {
  await using table = await VehicleTable.create();
  table.put(
    Array.from({ length: 400 }, (_, index) => ({ vin: vin(index), attributes: { Note: incompressible(40_000) } })),
  );
  await using server = await serve(table, { maxMs: 4000 });
  const served = once(server.http, "request");
  // A little every 10 ms: all of it would take minutes.
  let reading: NodeJS.Timeout | undefined;
  const request = httpRequest(server.url, (answer) => {
    answer.on("error", () => {});
    reading = setInterval(() => answer.read(1024), 10);
  });
  request.on("error", () => {});
  request.end();

  const [, response] = await served;
  await once(response, "close");
  clearInterval(reading);
  request.destroy();

  expect(response).toMatchObject({ headersSent: true, writableFinished: false });
});

test("an export that fails is logged as an error, with its cause", async () => {
  await using table = await tableOf(1);
  table.database.exec("drop table vehicles");
  const logger = new MemoryLogger();
  await using server = await serve(table, { logger });

  await fetch(server.url);

  expect(logger.lines).toMatchObject([
    { level: "error", message: "export failed", fields: { err: expect.any(ExportFailedError) } },
  ]);
});

test.each([
  ["of its own", {}],
  ["that is kept", { range: "bytes=0-" }],
])("a reader that takes nothing of a short export %s is cut off, and counts no more", async (_, headers) => {
  await using table = await tableOf(10);
  await using server = await serve(table, {
    stallMs: 200,
    maxFiles: 1,
    exports: { stallMs: 200, limits: { perClient: 1, perProcess: 1 } },
    http2: true,
  });
  const session = connectHttp2(server.url, { settings: { initialWindowSize: 0 } });
  using _ended = { [Symbol.dispose]: () => session.destroy() };
  const stalled = session.request({ ":path": "/export.parquet", ...headers });
  stalled.on("error", () => {});
  const closed = once(stalled.resume(), "close");
  await once(stalled, "response");

  await closed;
  const askAgain = async (): Promise<unknown> => {
    const other = session.request({ ":path": "/export.parquet", "x-client": "other", ...headers });
    const [answer] = await once(other, "response");
    other.close();
    return answer[":status"];
  };

  expect(stalled.rstCode).toBe(constants.NGHTTP2_CANCEL);
  await expect.poll(askAgain, { timeout: 10_000 }).toBe(Object.keys(headers).length > 0 ? 206 : 200);
});

function incompressible(length: number): string {
  return randomBytes(length / 2).toString("hex");
}
