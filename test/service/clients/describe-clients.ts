import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, RequestInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { Addresses } from "../../support/clients.ts";
import { errorOf } from "../../support/error-of.ts";
import { manyVins } from "../../support/real-vins.ts";
import type { TestApp } from "../../support/test-app.ts";
import { startTestApp } from "../../support/test-app.ts";
import type { ReflectingServer } from "../start-server.ts";
import { startStubService } from "../stub-service.ts";
import type { TlsOnDisk } from "../../support/tls-on-disk.ts";
import { writeTls } from "../../support/tls-on-disk.ts";
import type { ClientKind, MethodName, RealClient } from "./client.ts";
import type { Relay } from "./relay.ts";
import { startRelay } from "./relay.ts";

type Port = keyof Addresses;

const PORTS: readonly (readonly [string, Port])[] = [
  ["GRPC_PORT", "grpcAddress"],
  ["HTTP_PORT", "httpAddress"],
];

const [BULKY_VIN = "", BATCH_VIN = "", ...VINS]: string[] = manyVins(200);
const UNKNOWN_VIN = "11111111111111111";
/** A value almost as long as the service accepts from vPIC. */
const BULK = "the same again ".repeat(260);
/** Of 15 KB, and little more than one VIN when compressed. */
const LONG_BATCH = { vins: Array.from({ length: 800 }, () => BATCH_VIN) };

/** In bytes on the wire. No request or answer is expected to be between these sizes. */
const COMPRESSED_AT_MOST = 7_000;
const PLAIN_AT_LEAST = 14_000;

export interface ClientsOptions {
  readonly withTls?: boolean;
  /** Whether each client uses only one of the ports, in turn. Default: each uses both. */
  readonly takesTurns?: boolean;
}

/** What every client must be able to do. One service answers them all. */
export function describeClients(
  kinds: readonly ClientKind[],
  { withTls = false, takesTurns = false }: ClientsOptions = {},
): void {
  let stack: AsyncDisposableStack;
  let app: TestApp;
  let stub: ReflectingServer;
  let tls: TlsOnDisk | undefined;
  let vin: string;
  let servedClients = 0;

  beforeAll(async () => {
    await using starting = new AsyncDisposableStack();
    tls = withTls ? starting.use(await writeTls()) : undefined;
    app = starting.use(
      await startTestApp({
        env: { ...tls?.env },
        vpic: {
          facts: {
            [BULKY_VIN]: { Note: BULK, Series2: BULK, Trim2: BULK, TransmissionStyle: BULK },
            [UNKNOWN_VIN]: { Make: "", Model: "", ModelYear: "", ErrorCode: "7", ErrorText: "7 - not registered" },
          },
        },
      }),
    );
    stub = starting.use(await startStubService(tls));
    stack = starting.move();
  });

  afterAll(() => stack.disposeAsync());

  describe.each(PORTS)("on %s", (_portName, port) => {
    const clients = kinds.filter((_, index) => !takesTurns || PORTS[index % PORTS.length]?.[1] === port);
    let relay: Relay;

    beforeAll(async () => {
      relay = await startRelay(app[port]);
    });

    afterAll(() => relay[Symbol.asyncDispose]());

    describe.each(clients.map((kind) => [kind.name, kind] as const))("%s", (_name, kind) => {
      let client: RealClient;

      beforeAll(async () => {
        vin = VINS[servedClients++] ?? "";
        client = await kind.open({ address: relay.address, authority: tls });
      });

      afterAll(() => client[Symbol.asyncDispose]());

      /** The number of bytes that one call sends and receives on the wire. */
      async function weigh(method: MethodName, request: JsonObject): Promise<{ up: number; down: number }> {
        const before = { ...relay.bytes };
        await client.call(method, request);
        return { up: relay.bytes.up - before.up, down: relay.bytes.down - before.down };
      }

      test("looks up, from vPIC and then from the cache, and removes", async () => {
        const decoded = await client.call("Lookup", { vin: vin.toLowerCase() });
        const cached = await client.call("Lookup", { vin });
        const removed = await client.call("Remove", { vin });
        const gone = await client.call("Remove", { vin });

        expect(decoded).toMatchObject([{ vin, make: "PETERBILT", source: "SOURCE_VPIC", verdict: { codes: [0] } }]);
        expect(cached).toEqual([{ ...Object(decoded[0]), cached: true }]);
        expect(removed).toEqual([{ vin, removed: true }]);
        expect(gone).toEqual([{ vin }]);
      });

      test("looks up a batch as a stream, in which errors say their reason", async () => {
        const answers = await client.call("BatchLookup", { vins: [BATCH_VIN, "nonsense", UNKNOWN_VIN] });

        expect(new Map(answers.map((answer) => [Object(answer).vin, answer]))).toEqual(
          new Map<string, unknown>([
            [BATCH_VIN, { vin: BATCH_VIN, vehicle: expect.objectContaining({ make: "PETERBILT" }) }],
            [
              "nonsense",
              {
                index: 1,
                vin: "nonsense",
                error: expect.objectContaining({ code: Code.InvalidArgument, message: expect.stringContaining("17") }),
              },
            ],
            [
              UNKNOWN_VIN,
              {
                index: 2,
                vin: UNKNOWN_VIN,
                error: expect.objectContaining({ code: Code.NotFound }),
                errorInfo: expect.objectContaining({ reason: "VIN_NOT_DECODED" }),
              },
            ],
          ]),
        );
      });

      test("receives in the details of the error what is wrong with a VIN", async () => {
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

      test("receives in the details of the error why a VIN cannot be decoded", async () => {
        const error = await errorOf(client.call("Lookup", { vin: UNKNOWN_VIN }));

        expect(error.code).toBe(Code.NotFound);
        expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
          { reason: "VIN_NOT_DECODED", metadata: { codes: "7" } },
        ]);
      });

      test("exports a Parquet file that is as long as announced", async () => {
        await client.call("Lookup", { vin: BULKY_VIN });

        const [first, ...rest] = await client.call("Export", {});

        const bytes = Buffer.concat(rest.map((part: JsonValue) => Buffer.from(String(Object(part).data), "base64")));
        expect(first).toMatchObject({ metadata: { sizeBytes: String(bytes.byteLength) } });
        expect([bytes.subarray(0, 4).toString(), bytes.subarray(-4).toString()]).toEqual(["PAR1", "PAR1"]);
      });

      test(`sends its requests ${kind.sendsGzip ? "compressed" : "as they are"}`, async () => {
        const { up } = await weigh("BatchLookup", LONG_BATCH);

        expect(toSize(up)).toBe(kind.sendsGzip ? "compressed" : "as they are");
      });

      test(`gets its answers ${kind.takesGzip ? "compressed" : "as they are"}`, async () => {
        const { down } = await weigh("Lookup", { vin: BULKY_VIN, view: "VIEW_FULL" });

        expect(toSize(down)).toBe(kind.takesGzip ? "compressed" : "as they are");
      });

      describe("of a service that hangs", () => {
        let hanging: RealClient;

        beforeAll(async () => {
          hanging = await kind.open({ address: stub[port], authority: tls });
        });

        afterAll(() => hanging[Symbol.asyncDispose]());

        test("sends its deadline to the service", async () => {
          stub.calls.length = 0;

          // Between the default and the maximum. Some clients subtract the time that has already passed.
          await hanging.call("Remove", { vin }, { timeoutMs: 28_000 });

          const [call] = stub.calls;
          const givenMs = Math.round(Number(call?.deadlineAt) - Number(call?.startedAt));
          expect(givenMs).toBeGreaterThan(10_000);
          expect(givenMs).toBeLessThanOrEqual(28_000);
        });

        test("has its deadline enforced", async () => {
          stub.calls.length = 0;

          const error = await errorOf(hanging.call("Lookup", { vin }, { timeoutMs: 500 }));

          expect(error.code).toBe(Code.DeadlineExceeded);
          // If the client notices its deadline first, it cancels the call.
          const isEnd = (code: string): boolean => code === "DeadlineExceeded" || code === "Canceled";
          await expect.poll(() => codesOf(stub).filter((code) => !isEnd(code))).toEqual([]);
        });

        test.each([
          ["Lookup", { vin: BATCH_VIN }],
          ["BatchLookup", { vins: [BATCH_VIN] }],
        ] satisfies [MethodName, JsonObject][])("cancels a %s, which the service sees", async (method, request) => {
          stub.calls.length = 0;
          const caller = new AbortController();

          const call = errorOf(hanging.call(method, request, { signal: caller.signal, timeoutMs: 30_000 }));
          await expect.poll(() => stub.calls.some(({ hasReachedHandler }) => hasReachedHandler)).toBe(true);
          caller.abort();
          const error = await call;

          expect(error.code).toBe(Code.Canceled);
          await expect.poll(() => codesOf(stub)).toEqual(["Canceled"]);
        });
      });
    });
  });
}

/** How the calls have ended so far. */
function codesOf({ calls }: ReflectingServer): string[] {
  return calls.map(({ hasEnded, code }) => (hasEnded ? (code === undefined ? "OK" : Code[code]) : "running"));
}

function toSize(bytes: number): string {
  return bytes < COMPRESSED_AT_MOST ? "compressed" : bytes > PLAIN_AT_LEAST ? "as they are" : `${bytes} bytes`;
}
