import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "#gen/google/rpc/error_details_pb.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { launchBrowser } from "../support/browser.ts";
import { errorOf } from "../support/error-of.ts";
import type { MemoryLogger } from "../support/memory-logger.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";
import { allKinds } from "./clients/all-kinds.ts";
import type { MethodName, RealClient, RealClientKind } from "./clients/real-call.ts";
import type { Relay } from "./clients/relay.ts";
import { startRelay } from "./clients/relay.ts";
import { startHangingService } from "./clients/start-hanging-service.ts";

const [VIN = "", BULKY_VIN = "", ...SILENT_VINS]: string[] = manyVins(6);
const UNKNOWN_VIN = "11111111111111111";
const BULK = "the same again and again, ".repeat(1_000);

/** How long after a deadline a call may end, in ms: what is promised, and what two busy cores take to notice. */
const AFTER_DEADLINE_MS = 100 + 200;

/** For what comes at once, unless the machine is busy. */
const PATIENTLY = { timeout: 8_000 };

let browser: Browser;

beforeAll(async () => {
  browser = await launchBrowser();
});

afterAll(() => browser.close());

/** What the service has logged of the ends of calls. */
function endsOf(logger: MemoryLogger): JsonObject[] {
  return logger.lines
    .filter(({ message }) => message === "call ended")
    .map(({ fields: { procedure, code, durationMs } }) => ({
      method: String(procedure).replace(/.*\//, ""),
      code: String(code),
      durationMs: Number(durationMs),
    }));
}

const KINDS = allKinds(() => browser, process.env["GRPCIO_PYTHON"]);

describe.each(KINDS)("%s", (_name, kind: RealClientKind) => {
  let app: TestApp;
  let relay: Relay;
  let client: RealClient;

  beforeAll(async () => {
    app = await startTestApp({
      vpic: {
        facts: {
          [BULKY_VIN]: { Note: BULK },
          [UNKNOWN_VIN]: { Make: "", Model: "", ModelYear: "", ErrorCode: "7", ErrorText: "7 - not registered" },
        },
        respondWith: ({ vins }) => (vins.some((vin) => SILENT_VINS.includes(vin)) ? { kind: "silence" } : undefined),
      },
    });
    relay = await startRelay(app[kind.port]);
    client = await kind.open({ ...app, [kind.port]: relay.address });
  });

  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await relay[Symbol.asyncDispose]();
    await app[Symbol.asyncDispose]();
  });

  /** What one call sends and gets, in bytes on the wire. */
  async function weigh(method: "Lookup" | "BatchLookup", request: JsonObject): Promise<{ up: number; down: number }> {
    const before = { ...relay.bytes };
    await client.call(method, request);
    return { up: relay.bytes.up - before.up, down: relay.bytes.down - before.down };
  }

  test("looks up, from vPIC and then from the cache, and removes", async () => {
    const decoded = await client.call("Lookup", { vin: VIN.toLowerCase() });
    const cached = await client.call("Lookup", { vin: VIN });
    const removed = await client.call("Remove", { vin: VIN });
    const gone = await client.call("Remove", { vin: VIN });

    expect(decoded).toMatchObject([{ vin: VIN, make: "PETERBILT", source: "SOURCE_VPIC", verdict: { codes: [0] } }]);
    expect(cached).toEqual([{ ...Object(decoded[0]), cached: true }]);
    expect(removed).toEqual([{ vin: VIN, removed: true }]);
    expect(gone).toEqual([{ vin: VIN }]);
  });

  test("looks up a batch as a stream, in which an error has its details", async () => {
    const answers = await client.call("BatchLookup", { vins: [VIN, "nonsense"] });

    expect(Map.groupBy(answers, (answer) => String(Object(answer).vin))).toEqual(
      new Map([
        [VIN, [{ vin: VIN, vehicle: expect.objectContaining({ vin: VIN, make: "PETERBILT" }) }]],
        [
          "nonsense",
          [
            {
              index: 1,
              vin: "nonsense",
              error: {
                code: Code.InvalidArgument,
                message: expect.any(String),
                details: expect.arrayContaining([
                  expect.objectContaining({ "@type": "type.googleapis.com/google.rpc.BadRequest" }),
                ]),
              },
            },
          ],
        ],
      ]),
    );
  });

  test("reads what is wrong with a VIN from the details of the error", async () => {
    const error = await errorOf(client.call("Lookup", { vin: "1XPWD40XIED215307" }));

    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(BadRequestSchema)).toMatchObject([
      {
        fieldViolations: [
          { field: "vin", description: '"I" at position 9 is not allowed in a VIN; 1 is likely meant' },
        ],
      },
    ]);
    expect(error.findDetails(RequestInfoSchema)).toMatchObject([
      { requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
    ]);
  });

  test("reads why a VIN cannot be decoded from the details of the error", async () => {
    const error = await errorOf(client.call("Lookup", { vin: UNKNOWN_VIN }));

    expect(error.code).toBe(Code.NotFound);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "VIN_NOT_DECODED", metadata: { codes: "7" } }]);
  });

  // Both sides have 100 ms to spare; a machine that stops for longer gets another chance.
  test("is told just before its deadline that vPIC does not answer", { retry: 2 }, async () => {
    app.logger.lines.length = 0;

    const error = await errorOf(client.call("Lookup", { vin: SILENT_VINS[0] ?? "" }, { timeoutMs: 1_200 }));

    expect(error.code).toBe(Code.Unavailable);
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "NO_SOURCE_AVAILABLE" }]);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect(endsOf(app.logger)).toEqual([{ method: "Lookup", code: "Unavailable", durationMs: expect.any(Number) }]);
    expect(endsOf(app.logger)[0]?.["durationMs"]).toBeLessThan(1_200);
  });

  test("has its deadline kept by a service that hangs", async () => {
    await using service = await startHangingService();
    await using impatient = await kind.open(service);

    const error = await errorOf(impatient.call("Lookup", { vin: VIN }, { timeoutMs: 1_000 }));

    expect(error.code).toBe(Code.DeadlineExceeded);
    // The client may see its deadline first, and then cancels.
    await vi.waitFor(
      () =>
        expect(endsOf(service.logger)).toEqual([
          {
            method: "Lookup",
            code: expect.stringMatching(/^(DeadlineExceeded|Canceled)$/),
            durationMs: expect.toSatisfy((durationMs: number) => durationMs < 1_000 + AFTER_DEADLINE_MS),
          },
        ]),
      PATIENTLY,
    );
  });

  test.each([
    ["Lookup", { vin: SILENT_VINS[1] ?? "" }],
    ["BatchLookup", { vins: [VIN, SILENT_VINS[2] ?? ""] }],
  ] satisfies [MethodName, JsonObject][])("cancels a %s, which the service sees at once", async (method, request) => {
    app.logger.lines.length = 0;
    const caller = new AbortController();

    const call = errorOf(client.call(method, request, { signal: caller.signal }));
    await expect.poll(() => app.vpic.vins, PATIENTLY).toContain(Object.values(request).flat().at(-1));
    caller.abort();
    const error = await call;

    expect(error.code).toBe(Code.Canceled);
    await vi.waitFor(
      () => expect(endsOf(app.logger)).toEqual([{ method, code: "Canceled", durationMs: expect.any(Number) }]),
      PATIENTLY,
    );
  });

  test("exports a Parquet file that is as long as announced", async () => {
    await client.call("Lookup", { vin: VIN });
    await client.call("Lookup", { vin: BULKY_VIN });

    const [first, ...rest] = await client.call("Export", {});

    const bytes = Buffer.concat(rest.map((part: JsonValue) => Buffer.from(String(Object(part).data), "base64")));
    expect(first).toMatchObject({ metadata: { sizeBytes: String(bytes.byteLength), rowCount: "2" } });
    expect(await queryParquet(bytes, "select vin, make from $file")).toEqual(
      [VIN, BULKY_VIN].toSorted().map((vin) => ({ vin, make: "PETERBILT" })),
    );
  });

  test(`sends its requests ${kind.compressesRequests ? "compressed" : "as they are"}`, async () => {
    // Some 4,000 bytes, which is little more than one VIN when compressed.
    const { up } = await weigh("BatchLookup", { vins: Array.from({ length: 210 }, () => VIN) });

    expect(up < 2_000 ? "compressed" : up > 3_900 ? "as they are" : up).toBe(
      kind.compressesRequests ? "compressed" : "as they are",
    );
  });

  const whyPlain = kind.port === "grpcAddress" ? ", since grpc-js servers compress none" : "";

  test(`gets its answers ${kind.getsCompressed ? "compressed" : `as they are${whyPlain}`}`, async () => {
    const { down } = await weigh("Lookup", { vin: BULKY_VIN, view: "VIEW_FULL" });

    expect(down < 4_000 ? "compressed" : down > BULK.length ? "as they are" : down).toBe(
      kind.getsCompressed ? "compressed" : "as they are",
    );
  });
});
