import { isDeepStrictEqual } from "node:util";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ExportResponse } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { queryParquet } from "../export/read-parquet.ts";
import { clientOf } from "../support/clients.ts";
import { manyVins } from "../support/real-vins.ts";
import type { TestApp } from "../support/test-app.ts";
import { startTestApp } from "../support/test-app.ts";

const VINS = manyVins(5);

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
  await Array.fromAsync(clientOf(app).batchLookup({ vins: VINS }));
});

afterAll(async () => {
  await app[Symbol.asyncDispose]();
});

async function read(parts: AsyncIterable<ExportResponse>): Promise<{ metadata: unknown; bytes: Buffer }> {
  const [first, ...rest] = await Array.fromAsync(parts, ({ part }) => part);
  const chunks = rest.map((part) => (part.case === "data" ? part.value : new Uint8Array()));
  return {
    metadata: first?.case === "metadata" ? first.value : undefined,
    bytes: await buffer(Readable.from(chunks)),
  };
}

test.each(["grpcAddress", "httpAddress"] as const)(
  "GET /export.parquet at the %s is the same file, to be saved under a name",
  async (port) => {
    const response = await fetch(`http://${app[port]}/export.parquet`);
    const bytes = await response.bytes();

    expect(response.headers.get("content-disposition")).toMatch(/^attachment; filename="vehicles-.*\.parquet"$/);
    expect(response.headers.get("content-length")).toBe(String(bytes.byteLength));
    expect(await queryParquet(bytes, "select vin from $file")).toEqual(VINS.toSorted().map((vin) => ({ vin })));
  },
);

describe.each(["grpc", "grpc-web", "connect"] as const)("an Export over %s", (protocol) => {
  test("is one Parquet file with a row for each vehicle", async () => {
    const { metadata, bytes } = await read(clientOf(app, protocol).export({}));

    expect(metadata).toMatchObject({
      fileName: expect.stringMatching(/^vehicles-.*\.parquet$/),
      mediaType: "application/vnd.apache.parquet",
      rowCount: 5n,
      sizeBytes: BigInt(bytes.byteLength),
    });
    const rows = await queryParquet(bytes, "select vin, make, source from $file");
    expect(rows).toEqual(VINS.toSorted().map((vin) => expect.objectContaining({ vin })));
  });

  test("contains exactly the answers of Lookup", async () => {
    const vehicle = await clientOf(app, protocol).lookup({ vin: VINS[2] ?? "", view: 2 });

    const { bytes } = await read(clientOf(app, protocol).export({}));

    const [row] = await queryParquet(bytes, `select * from $file where vin = '${VINS[2]}'`);
    expect(row).toMatchObject({
      make: vehicle.make,
      model: vehicle.model,
      model_year: vehicle.modelYear,
      body_class: vehicle.bodyClass,
      verdict: vehicle.verdict?.codes.join(","),
    });
    expect(row?.["attributes"]).toSatisfy((json: string) => isDeepStrictEqual(JSON.parse(json), vehicle.attributes));
  });
});
