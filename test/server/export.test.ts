import { randomBytes } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { asyncBufferFromUrl } from "hyparquet";
import { afterAll, describe, expect, test } from "vitest";
import { ExportSpool } from "../../src/export/export-spool.ts";
import type { VehicleExportsOptions } from "../../src/export/vehicle-exports.ts";
import { createExportHandler } from "../../src/server/export.ts";
import { exportDirectory, openExports } from "../export/open-exports.ts";
import { filesIn } from "../export/open-files.ts";
import { readWithHyparquet } from "../export/read-parquet.ts";
import { VehicleTable } from "../export/vehicle-table.ts";
import { disposeAfterTest } from "../support/dispose-after-test.ts";
import { eventually } from "../support/eventually.ts";
import { Http2Client } from "../support/http2-client.ts";
import { MemoryLogger } from "../support/memory-logger.ts";
import { postOf, RawClient } from "../support/raw-client.ts";
import type { Served, ServeOptions } from "../support/serve.ts";
import { LOOKUP, serve } from "../support/serve.ts";
import { bearer } from "../support/some-tokens.ts";

const PATH = "/export.parquet";
const GET = `GET ${PATH} HTTP/1.1\r\nHost: a\r\n`;
/** Range requests are answered from a kept file. Other requests get a new file each. */
const KINDS = [
  ["of its own", {}, 0, 200],
  ["that is kept", { range: "bytes=0-" }, 1, 206],
] as const;

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
  /** Whether each row has 40,000 more random hex digits, which compress to 20 KB. */
  readonly isBulky?: boolean;
  /** Whether the writing of kept files never ends. */
  readonly hangs?: boolean;
}

/** Starts a server that exports this number of rows. */
async function start(rows: number, options: Options = {}, own = disposeAfterTest): Promise<ExportServer> {
  const { exports = {}, maxFiles = 4, isBulky = false, hangs = false, ...more } = options;
  const table = own(await VehicleTable.create());
  table.put(
    Array.from({ length: rows }, (_, index) => ({
      vin: `1XPWD40X${String(index).padStart(9, "0")}`,
      attributes: { Note: `row ${index}`, ...(isBulky && { Trim2: randomBytes(20_000).toString("hex") }) },
    })),
  );
  const logger = new MemoryLogger();
  const clock = { now: 1_800_000_000_000 };
  const created: string[] = [];
  const vehicles = own(await openExports(table, { logger, ...exports }));
  const spool = own(
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
  const server = own(
    await serve({
      logger,
      ...more,
      plain: (host) => ({ "GET /export.parquet": createExportHandler({ exports: vehicles, spool, host }) }),
    }),
  );
  return { ...server, url: `http://${server.address}${PATH}`, clock, created, table };
}

/** A number of bulky rows that exceeds the buffers of both sockets. */
const MORE_THAN_BUFFERS = 250;
/** A number of bulky rows that exceeds the HTTP/2 window of a client that reads nothing. */
const MORE_THAN_WINDOW = 20;

async function bodyOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

function audits({ logger }: Served): unknown[] {
  return logger.lines.filter(({ level }) => level === "audit").map(({ fields }) => fields);
}

test("a plain GET downloads a whole file, over HTTP/1.1 and HTTP/2", async () => {
  const { url, address } = await start(1);
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
    expect([file.subarray(0, 4).toString(), file.subarray(-4).toString()]).toEqual(["PAR1", "PAR1"]);
  }
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

const shared = new AsyncDisposableStack();
const sharedServer = await start(100, {}, (resource) => shared.use(resource));
afterAll(() => shared.disposeAsync());

describe("a Range", () => {
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
    const whole = await bodyOf(await fetch(sharedServer.url, { headers: { Range: "bytes=0-" } }));

    const response = await fetch(sharedServer.url, { headers: { Range: range } });
    const bytes = await bodyOf(response);

    expect(response.status).toBe(status);
    expect(bytes.equals(whole.subarray(from, to))).toBe(true);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    const first = from < 0 ? whole.length + from : from;
    const expected = status === 206 ? `bytes ${first}-${first + bytes.length - 1}/${whole.length}` : null;
    expect(response.headers.get("content-range")).toBe(expected);
  });

  test.each(["bytes=99999999-", "bytes=-0"])("of %s cannot be satisfied", async (range) => {
    const head = await fetch(sharedServer.url, { method: "HEAD" });

    const response = await fetch(sharedServer.url, { headers: { Range: range } });

    expect([response.status, await response.text()]).toEqual([416, ""]);
    expect(response.headers.get("content-range")).toBe(`bytes */${head.headers.get("content-length")}`);
  });

  /** ETAG is the tag of the file. */
  test.each([
    ["GET", "If-Range", "ETAG", 206],
    ["GET", "If-Range", '"another"', 200],
    ["GET", "If-None-Match", "ETAG", 304],
    ["GET", "If-None-Match", '"another"', 206],
    ["GET", "If-Match", "ETAG", 206],
    ["GET", "If-Match", '"another", ETAG', 206],
    ["GET", "If-Match", "*", 206],
    ["GET", "If-Match", "W/ETAG", 412],
    ["HEAD", "If-Match", "ETAG", 200],
    ["HEAD", "If-Match", '"another"', 412],
  ] as const)("is only sent by %s under the condition %s: %s (%i)", async (method, name, tags, status) => {
    const head = await fetch(sharedServer.url, { method: "HEAD" });
    const etag = head.headers.get("etag") ?? "";

    const headers = { Range: "bytes=0-3", [name]: tags.replace("ETAG", etag) };
    const response = await fetch(sharedServer.url, { method, headers });
    const bytes = await bodyOf(response);

    expect([response.status, response.headers.get("etag")]).toEqual([status, etag]);
    expect(bytes.length === 4).toBe(status === 206);
  });
});

describe("a kept file", () => {
  test("answers many requests of one caller until it is too old, but counts as one export", async () => {
    const { url, created, clock } = await start(1, { exports: { limits: { perClient: 1, perProcess: 1 } } });
    const ask = () => fetch(url, { headers: { Range: "bytes=0-3" } });

    const responses = await Promise.all(Array.from({ length: 20 }, ask));
    const before = [...created];
    clock.now += 300_000;
    await ask();

    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 206));
    expect([before.length, created.length]).toEqual([1, 2]);
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
    ["too many exports are running", { limits: { perClient: 0, perProcess: 0 } }, 429, "5", "ResourceExhausted"],
    ["not enough disk space for an export; contact the operator", { keepFreeBytes: 2 ** 60 }, 507, "60", "Unavailable"],
  ])("%s", async (message, exports, status, retryAfter, code) => {
    const server = await start(1, { exports });

    const response = await fetch(server.url);

    expect([response.status, await response.text()]).toEqual([status, `${message}\n`]);
    expect(response.headers.get("retry-after")).toBe(retryAfter);
    expect(await filesIn(exportDirectory(server.table))).toEqual([]);
    await eventually(() => expect(audits(server)).toMatchObject([{ code }]));
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
    ["that succeeds", "all", {}, [{ caller: "all", code: "ok" }]],
    ["that is refused because a scope is missing", "lookup", {}, [{ caller: "lookup", code: "PermissionDenied" }]],
    ["of a range past the end", "all", { range: "bytes=99999999-" }, [{ caller: "all", code: "OutOfRange" }]],
    ["of another file", "all", { "if-match": '"another"' }, [{ caller: "all", code: "FailedPrecondition" }]],
    ["with an unknown token is not written", "nobody", {}, []],
  ])("%s", async (_how, name, headers, expected) => {
    const server = await start(1, { hasTokens: true });

    await bodyOf(await fetch(server.url, { headers: { ...bearer(name), ...headers } }));

    await eventually(() => expect(server.ended).toHaveLength(1));
    expect(audits(server)).toMatchObject(expected);
  });
});

describe.each(KINDS)("a reader of an export %s", (_kind, headers, kept, status) => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = `${GET}${lines.join("")}\r\n`;

  test("that does not read is cut off, and no temporary file is left", async () => {
    const server = await start(MORE_THAN_BUFFERS, { isBulky: true, limits: { watch: { stallTimeoutMs: 100 } } });
    using client = await RawClient.open(server.port, { isDeaf: true });

    client.send(request);
    await eventually(() => expect(server.ended.map((call) => call.code)).toEqual([Code.Canceled]));

    await eventually(async () => expect(await filesIn(exportDirectory(server.table))).toHaveLength(kept));
    expect(audits(server)).toMatchObject([{ code: "Canceled" }]);
  });

  test("that leaves while an earlier answer in its pipeline is unfinished no longer counts", async () => {
    const server = await start(MORE_THAN_WINDOW, {
      isBulky: true,
      maxFiles: 1,
      hasTokens: true,
      exports: { limits: { perClient: 1, perProcess: 1 } },
      handlers: { lookup: () => new Promise(() => {}) },
    });
    using client = await RawClient.open(server.port);
    const token = `Authorization: ${bearer("all").authorization}\r\n`;
    client.send(postOf(LOOKUP, "{}", token) + GET + token + request.slice(GET.length));
    await eventually(() =>
      expect(server.logger.lines).toContainEqual(expect.objectContaining({ message: "export written" })),
    );

    client.socket.destroy();

    await eventually(async () => {
      const next = await fetch(server.url, { headers: { ...bearer("export"), ...headers } });
      await bodyOf(next);
      expect(next.status).toBe(status);
    });
  });
});
