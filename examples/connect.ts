// TypeScript with Connect. Beside a running service:
//   npx node examples/connect.ts
import { open } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Interceptor } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "../gen/vehicle/v1/vehicle_service_pb.ts";

const { ADDRESS = "http://127.0.0.1:8080", TOKEN = "" } = process.env;

const authorize: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${TOKEN}`);
  return next(request);
};
const transport = createConnectTransport({ baseUrl: ADDRESS, httpVersion: "1.1", interceptors: [authorize] });
const client = createClient(VehicleService, transport);

/**
 * Repeats a call that the service refuses with UNAVAILABLE or RESOURCE_EXHAUSTED, when the service says so. Without an
 * answer, it backs off.
 */
async function withRetry<Result>(call: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const failed = ConnectError.from(error);
      const { retryDelay } = failed.findDetails(RetryInfoSchema)[0] ?? {};
      if (attempt === 5 || (retryDelay === undefined && failed.code !== Code.Unavailable)) throw error;
      await setTimeout(retryDelay === undefined ? 500 * 2 ** attempt : durationMs(retryDelay));
    }
  }
}

// One VIN, within 5 s.
const vehicle = await withRetry(() => client.lookup({ vin: "1XPWD40X1ED215307" }, { timeoutMs: 5_000 }));
console.log("Lookup:", vehicle.make, vehicle.model, vehicle.modelYear);

// A malformed VIN: the details of the error say what is wrong with it.
try {
  await withRetry(() => client.lookup({ vin: "1XPWD40X1ED2153O7" }, { timeoutMs: 5_000 }));
} catch (error) {
  const failed = ConnectError.from(error);
  const violations = failed.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const texts = violations.map(({ field, description }) => `${field}: ${description}`);
  console.log("Lookup failed:", Code[failed.code], texts.join("; "));
}

// Many VINs. One bad VIN does not affect the others.
const vins = ["1XPWD40X1ED215307", "1XPWD40X1ED2153O7", "1XKWDB0X57J211825"];
const answers = await withRetry(() => Array.fromAsync(client.batchLookup({ vins }, { timeoutMs: 60_000 })));
for (const { index, result } of answers) {
  if (result.case === "vehicle") {
    console.log("BatchLookup:", vins[index], result.value.make, result.value.model);
  } else if (result.case === "error") {
    console.log("BatchLookup:", vins[index], result.value.message);
  }
}

// The whole cache as a Parquet file, in parts.
await withRetry(async () => {
  await using file = await open("vehicles.parquet", "w");
  for await (const { part } of client.export({}, { timeoutMs: 600_000 })) {
    if (part.case === "metadata") console.log("Export:", Number(part.value.rowCount), "vehicles");
    if (part.case === "data") await file.writeFile(part.value);
  }
});
