import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { constants } from "node:http2";
import { Code } from "@connectrpc/connect";
import { asyncBufferFromUrl } from "hyparquet";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ExportSpool } from "../../src/export/export-spool.ts";
import type { VehicleExportsOptions } from "../../src/export/vehicle-exports.ts";
import { createExportHandler } from "../../src/server/export.ts";
import { exportDirectory, openExports } from "../export/open-exports.ts";
import { filesIn } from "../export/open-files.ts";
import { queryParquet, readWithHyparquet } from "../export/read-parquet.ts";
import { VehicleTable } from "../export/vehicle-table.ts";
import { eventually } from "../support/eventually.ts";
import { answerOf, Http2Client } from "../support/http2-client.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { RawClient } from "../support/raw-client.ts";
import type { Served, ServeOptions } from "../support/serve.ts";
import { serve } from "../support/serve.ts";
import { bearer } from "../support/some-tokens.ts";

const PATH = "/export.parquet";
const GET = `GET ${PATH} HTTP/1.1\r\nHost: a\r\n`;
/** Range requests are answered from a kept file. Other requests get a new file each. */
const KINDS = [
  ["of its own", {}, 0, 200],
  ["that is kept", { range: "bytes=0-" }, 1, 206],
] as const;

const STALLED_SOON = { watch: { stallTimeoutMs: 100 } };

let stack: AsyncDisposableStack;
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

interface ExportServer extends Served {
  readonly url: string;
  readonly clock: { now: number };
  /** The clients for which files were written to be kept. */
  readonly created: string[];
  readonly table: VehicleTable;
}

interface Options extends ServeOptions {
  readonly exports?: Partial<VehicleExportsOptions>;
  readonly maxFiles?: number;
  /** Whether the writing of kept files never ends. */
  readonly hangs?: boolean;
}

function vin(index: number): string {
  return `1XPWD40X${String(index).padStart(9, "0")}`;
}

/** Starts a server that exports this number of rows. */
async function start(rows: number, options: Options = {}, owner = stack): Promise<ExportServer> {
  const { exports = {}, maxFiles = 4, hangs = false, ...more } = options;
  const table = owner.use(await VehicleTable.create());
  table.put(Array.from({ length: rows }, (_, index) => ({ vin: vin(index), attributes: { Note: `row ${index}` } })));
  const logger = new MemoryLogger();
  const clock = { now: 1_800_000_000_000 };
  const created: string[] = [];
  const vehicles = owner.use(await openExports(table, { logger, ...exports }));
  const spool = owner.use(
    new ExportSpool({
      create: (client, signal) => {
        created.push(client);
        if (hangs) {
          return new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => reject(signal.reason));
          });
        }
        return vehicles.createShared(client, signal);
      },
      elapsedMs: () => clock.now,
      maxFiles,
    }),
  );
  const server = owner.use(
    await serve({
      logger,
      ...more,
      plain: (host) => ({ "GET /export.parquet": createExportHandler({ exports: vehicles, spool, host }) }),
    }),
  );
  return { ...server, url: `http://${server.address}${PATH}`, clock, created, table };
}

/** Fills a table with rows of 40 KB that cannot be compressed. */
function fillUp(table: VehicleTable, rows: number): void {
  const incompressible = (): string => randomBytes(20_000).toString("hex");
  table.put(Array.from({ length: rows }, (_, index) => ({ vin: vin(index), attributes: { Note: incompressible() } })));
}

/** Number of rows that is larger than the buffers of both sockets. */
const MORE_THAN_BUFFERS = 250;
/** Number of rows that is larger than the HTTP/2 window of a client that reads nothing. */
const MORE_THAN_WINDOW = 20;

async function bodyOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

function audits({ logger }: Served): unknown[] {
  return logger.lines.filter(({ level }) => level === "audit").map(({ fields }) => fields);
}

describe("a plain GET", () => {
  test("downloads a whole file that DuckDB can read, over HTTP/1.1 and HTTP/2", async () => {
    const { url, address } = await start(2_000);
    using client = new Http2Client(address);

    const http2 = await client.request({ ":path": PATH });
    const response = await fetch(url);
    const bytes = await bodyOf(response);

    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/vnd.apache.parquet",
      "content-length": String(bytes.length),
      "content-disposition": expect.stringMatching(/^attachment; filename="vehicles-\d{8}T\d{6}Z\.parquet"$/),
      "accept-ranges": "bytes",
      "cache-control": "private, no-cache",
      "x-content-type-options": "nosniff",
    });
    expect([http2.status, http2.headers["content-length"]]).toEqual([200, String(http2.body.length)]);
    for (const file of [bytes, http2.body]) {
      expect(await queryParquet(file, "select count(*)::int as count from $file")).toEqual([{ count: 2_000 }]);
    }
  });
});

test("hyparquet reads the URL by ranges, all from the same file, although rows change meanwhile", async () => {
  const { url, table, created } = await start(2_000);

  const file = await asyncBufferFromUrl({ url });
  table.database.exec("delete from vehicles where vin like '%1'");
  const rows = await readWithHyparquet(file, ["vin", "attributes"]);

  expect(rows).toHaveLength(2_000);
  expect(rows.at(-1)).toEqual({ vin: "1XPWD40X000001999", attributes: '{"Note":"row 1999"}' });
  expect(created).toHaveLength(1);
});

describe("a Range", () => {
  const shared = new AsyncDisposableStack();
  let server: ExportServer;
  beforeAll(async () => {
    server = await start(100, {}, shared);
  });
  afterAll(() => shared.disposeAsync());

  test.each([
    ["bytes=0-3", 206, [0, 4]],
    ["Bytes=0-3", 206, [0, 4]],
    ["bytes=4-", 206, [4, undefined]],
    ["bytes=-4", 206, [-4, undefined]],
    ["bytes=100-99999999", 206, [100, undefined]],
    ["bytes=-99999999", 206, [0, undefined]],
    ["bytes=0-1,4-5", 200, [0, undefined]],
    ["bytes=5-2", 200, [0, undefined]],
    ["lines=0-3", 200, [0, undefined]],
    ["bytes=", 200, [0, undefined]],
  ] as const)("of %s is answered with %i and the right bytes", async (range, status, [from, to]) => {
    const whole = await bodyOf(await fetch(server.url, { headers: { Range: "bytes=0-" } }));

    const response = await fetch(server.url, { headers: { Range: range } });
    const bytes = await bodyOf(response);

    expect(response.status).toBe(status);
    expect(bytes.equals(whole.subarray(from, to))).toBe(true);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    const first = from < 0 ? whole.length + from : from;
    const expected = status === 206 ? `bytes ${first}-${first + bytes.length - 1}/${whole.length}` : null;
    expect(response.headers.get("content-range")).toBe(expected);
  });

  test.each(["bytes=99999999-", "bytes=-0"])("of %s cannot be satisfied", async (range) => {
    const head = await fetch(server.url, { method: "HEAD" });

    const response = await fetch(server.url, { headers: { Range: range } });

    expect([response.status, await response.text()]).toEqual([416, ""]);
    expect(response.headers.get("content-range")).toBe(`bytes */${head.headers.get("content-length")}`);
  });

  test("with If-Range returns the range if the file is the same, otherwise the whole new file", async () => {
    const head = await fetch(server.url, { method: "HEAD" });
    const etag = head.headers.get("etag") ?? "";

    const same = await fetch(server.url, { headers: { Range: "bytes=0-3", "If-Range": etag } });
    const other = await fetch(server.url, { headers: { Range: "bytes=0-3", "If-Range": '"another"' } });
    await bodyOf(other);

    expect([same.status, await same.text()]).toEqual([206, "PAR1"]);
    expect(other.status).toBe(200);
  });

  test.each(["GET", "HEAD"])("with If-Match is refused if it does not name the file, with %s", async (method) => {
    const head = await fetch(server.url, { method: "HEAD" });
    const etag = head.headers.get("etag") ?? "";

    const statuses: number[] = [];
    for (const tags of [etag, `"another", ${etag}`, "*", '"another"', `W/${etag}`]) {
      const response = await fetch(server.url, { method, headers: { Range: "bytes=0-3", "If-Match": tags } });
      statuses.push(response.status);
      expect(response.headers.get("etag")).toBe(etag);
      await bodyOf(response);
    }

    const good = method === "GET" ? 206 : 200;
    expect(statuses).toEqual([good, good, good, 412, 412]);
  });

  test("is not needed with HEAD, which gets the same headers as GET and no body", async () => {
    const head = await fetch(server.url, { method: "HEAD" });
    const ranged = await fetch(server.url, { headers: { Range: "bytes=0-" } });
    await bodyOf(ranged);

    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
    expect(ranged.headers.get("content-length")).toBe(head.headers.get("content-length"));
    expect(ranged.headers.get("etag")).toBe(head.headers.get("etag"));
  });

  test("is not needed with If-None-Match, which gets a 304 for the same file", async () => {
    const head = await fetch(server.url, { method: "HEAD" });

    const same = await fetch(server.url, { headers: { "If-None-Match": head.headers.get("etag") ?? "" } });
    const other = await fetch(server.url, { headers: { "If-None-Match": '"another"' } });
    await bodyOf(other);

    expect([same.status, await same.text()]).toEqual([304, ""]);
    expect(other.status).toBe(200);
  });
});

describe("a kept file", () => {
  test("is not sent to other callers", async () => {
    const { url } = await start(1, { hasTokens: true });

    const first = await fetch(url, { method: "HEAD", headers: bearer("all") });
    const second = await fetch(url, { method: "HEAD", headers: bearer("export") });

    expect([first.status, second.status]).toEqual([200, 200]);
    expect(first.headers.get("etag")).not.toBe(second.headers.get("etag"));
  });

  test("answers many requests of one caller, but counts as one export", async () => {
    const { url, created } = await start(1, { exports: { limits: { perClient: 1, perProcess: 1 } } });

    const responses = await Promise.all(
      Array.from({ length: 20 }, () => fetch(url, { headers: { Range: "bytes=0-3" } })),
    );

    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 206));
    expect(created).toHaveLength(1);
  });

  test("that is too old is not used for new requests", async () => {
    const { url, clock } = await start(1);
    const before = await fetch(url, { method: "HEAD" });

    clock.now += 300_000;
    const after = await fetch(url, { method: "HEAD" });

    expect(after.headers.get("etag")).not.toBe(before.headers.get("etag"));
  });

  test("that was used least recently makes room for a file for another caller", async () => {
    const { url, created } = await start(1, { maxFiles: 1, hasTokens: true });

    for (const name of ["all", "all", "export", "all"]) {
      await fetch(url, { method: "HEAD", headers: bearer(name) });
    }

    expect(created).toEqual(["all", "export", "all"]);
  });
});

describe("an export that fails before anything is sent gets an error from the error table:", () => {
  test.each([
    ["too many", { exports: { limits: { perClient: 0, perProcess: 0 } } }, 429, "too many exports are running\n", "5"],
    [
      "too little disk space",
      { exports: { keepFreeBytes: Number.MAX_SAFE_INTEGER } },
      507,
      "not enough disk space for an export; contact the operator\n",
      "60",
    ],
  ])("%s", async (_what, options, status, text, retryAfter) => {
    const server = await start(1, options);

    const response = await fetch(server.url);

    expect([response.status, await response.text()]).toEqual([status, text]);
    expect(response.headers.get("retry-after")).toBe(retryAfter);
    expect(await filesIn(exportDirectory(server.table))).toEqual([]);
  });

  test("a file that takes too long to write", async () => {
    const server = await start(1, { hangs: true, rule: { maxTimeoutMs: 50, defaultTimeoutMs: 50 } });

    const response = await fetch(server.url, { headers: { range: "bytes=0-" } });

    expect([response.status, await response.text()]).toEqual([504, "The answer took too long.\n"]);
    await eventually(() => expect(audits(server)).toMatchObject([{ code: "DeadlineExceeded" }]));
  });
});

describe("the audit line of an export", () => {
  test.each([
    ["that succeeds", {}, "all", {}, [{ caller: "all", code: "ok" }]],
    ["that is refused because a scope is missing", {}, "lookup", {}, [{ caller: "lookup", code: "PermissionDenied" }]],
    [
      "that fails",
      { exports: { limits: { perClient: 0, perProcess: 0 } } },
      "all",
      {},
      [{ caller: "all", code: "ResourceExhausted" }],
    ],
    ["of a range past the end", {}, "all", { range: "bytes=99999999-" }, [{ caller: "all", code: "OutOfRange" }]],
    ["of another file", {}, "all", { "if-match": '"another"' }, [{ caller: "all", code: "FailedPrecondition" }]],
    ["with an unknown token is not written", {}, "nobody", {}, []],
  ])("%s", async (_how, options, name, headers, expected) => {
    const server = await start(1, { hasTokens: true, ...options });

    await bodyOf(await fetch(server.url, { headers: { ...bearer(name), ...headers } }));

    await eventually(() => expect(server.ended).toHaveLength(1));
    expect(audits(server)).toMatchObject(expected);
  });

  test("says so if its reader left", async () => {
    const server = await start(0);
    fillUp(server.table, MORE_THAN_BUFFERS);
    using client = await RawClient.open(server.port);
    client.send(`${GET}\r\n`);
    await client.until(/PAR1/);

    client.socket.destroy();

    await eventually(() => expect(audits(server)).toMatchObject([{ code: "Canceled" }]));
  });
});

describe.each(KINDS)("a reader of an export %s", (_kind, headers, kept, status) => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = `${GET}${lines.join("")}\r\n`;
  const onlyOne = { maxFiles: 1, hasTokens: true, exports: { limits: { perClient: 1, perProcess: 1 } } };

  /** Waits until another caller can export, and returns the status of that export. */
  async function statusOfAnother({ url }: ExportServer): Promise<number> {
    return eventually(async () => {
      const next = await fetch(url, { headers: { ...bearer("export"), ...headers } });
      await bodyOf(next);
      expect(next.status).toBe(status);
      return next.status;
    });
  }

  test("that does not read is cut off, and no temporary file is left", async () => {
    const server = await start(0, { limits: STALLED_SOON });
    fillUp(server.table, MORE_THAN_BUFFERS);
    using client = await RawClient.open(server.port, { isDeaf: true });

    client.send(request);
    await eventually(() => expect(server.ended.map((call) => call.code)).toEqual([Code.Canceled]));

    await eventually(async () => expect(await filesIn(exportDirectory(server.table))).toHaveLength(kept));
  });

  test("that does not read a short export is cut off, and no longer counts", async () => {
    const server = await start(10, { ...onlyOne, limits: STALLED_SOON });
    using client = new Http2Client(server.address, undefined, { initialWindowSize: 0 });

    const stalled = await client.request({ ":path": PATH, ...bearer("all"), ...headers });

    expect(stalled).toMatchObject({ code: constants.NGHTTP2_CANCEL });
    expect(await statusOfAnother(server)).toBe(status);
  });

  test("that leaves no longer counts", async () => {
    const server = await start(0, onlyOne);
    fillUp(server.table, MORE_THAN_WINDOW);
    using client = new Http2Client(server.address);
    const stream = client.session.request({ ":path": PATH, ...bearer("all"), ...headers });
    const answer = answerOf(stream);
    stream.once("data", () => stream.close(constants.NGHTTP2_CANCEL));

    await answer;

    expect(await statusOfAnother(server)).toBe(status);
  });

  test("that leaves while an earlier answer in its pipeline is unfinished no longer counts", async () => {
    const server = await start(0, { ...onlyOne, handlers: { lookup: () => new Promise(() => {}) } });
    fillUp(server.table, MORE_THAN_WINDOW);
    using client = await RawClient.open(server.port);
    const token = `Authorization: ${bearer("all").authorization}\r\n`;
    client.send(
      `POST /vehicle.v1.VehicleService/Lookup HTTP/1.1\r\nHost: a\r\n${token}Content-Type: application/json\r\n` +
        `Content-Length: 2\r\n\r\n{}${GET}${token}${lines.join("")}\r\n`,
    );
    await eventually(() =>
      expect(server.logger.lines).toContainEqual(expect.objectContaining({ message: "export written" })),
    );

    client.socket.destroy();

    expect(await statusOfAnother(server)).toBe(status);
  });

  test("that reads slower than an export may take is cut off", async () => {
    const server = await start(0, { rule: { maxTimeoutMs: 600_000, defaultTimeoutMs: 600_000 } });
    fillUp(server.table, MORE_THAN_BUFFERS);
    using client = await RawClient.open(server.port, { isDeaf: true });
    client.send(request);
    await once(client.socket, "readable");

    // One check ends the answer, which the client does not take. A later check cuts it.
    await eventually(() => {
      server.endOverdueIn(600_000);
      expect(server.ended.map((call) => call.code)).toEqual([Code.Canceled]);
    });
  });
});
