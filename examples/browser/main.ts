// A page in the browser with Connect-Web. The service must allow the page's origin:
//   CORS_ORIGINS=http://localhost:5173 npm start
//   npx vite examples/browser
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Client, Interceptor } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { BadRequestSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "../../gen/vehicle/v1/vehicle_service_pb.ts";

const form = document.querySelector("form");
const output = document.querySelector("pre");

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  output?.replaceChildren();
  run(new FormData(form, event.submitter)).catch((error: unknown) => print(describe(error)));
});

async function run(values: FormData): Promise<void> {
  const client = openClient(textOf(values, "address"), textOf(values, "token"));
  const vins = textOf(values, "vins").trim().split(/\s+/);
  if (textOf(values, "action") === "export") {
    await exportAll(client);
  } else if (vins.length === 1) {
    await lookUp(client, vins);
  } else {
    await lookUpAll(client, vins);
  }
}

function textOf(values: FormData, name: string): string {
  const value = values.get(name);
  return typeof value === "string" ? value : "";
}

function print(...words: (string | number | undefined)[]): void {
  output?.append(`${words.join(" ")}\n`);
}

function openClient(baseUrl: string, token: string): Client<typeof VehicleService> {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createClient(VehicleService, createConnectTransport({ baseUrl, interceptors: [authorize] }));
}

/** Repeats a call that the service refuses with UNAVAILABLE or RESOURCE_EXHAUSTED, when the service says so. */
async function withRetry<Result>(call: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      const { retryDelay } = ConnectError.from(error).findDetails(RetryInfoSchema)[0] ?? {};
      if (retryDelay === undefined || attempt === 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, durationMs(retryDelay)));
    }
  }
}

/** The code of an error, and what is wrong with the fields of the request. */
function describe(error: unknown): string {
  const failed = ConnectError.from(error);
  const violations = failed.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const texts = violations.map(({ field, description }) => `${field}: ${description}`);
  return `${Code[failed.code]}: ${texts.join("; ") || failed.rawMessage}`;
}

/** One VIN, within 5 s. */
async function lookUp(client: Client<typeof VehicleService>, [vin = ""]: string[]): Promise<void> {
  const { make, model, modelYear } = await withRetry(() => client.lookup({ vin }, { timeoutMs: 5_000 }));
  print(vin, make, model, modelYear);
}

/** Many VINs. One bad VIN does not affect the others. */
async function lookUpAll(client: Client<typeof VehicleService>, vins: string[]): Promise<void> {
  const answers = await withRetry(() => Array.fromAsync(client.batchLookup({ vins }, { timeoutMs: 60_000 })));
  for (const { index, result } of answers) {
    if (result.case === "vehicle") {
      print(vins[index], result.value.make, result.value.model);
    } else if (result.case === "error") {
      print(vins[index], result.value.message);
    }
  }
}

/** The whole cache as a Parquet file, which the browser saves. */
async function exportAll(client: Client<typeof VehicleService>): Promise<void> {
  const answers = await withRetry(() => Array.fromAsync(client.export({}, { timeoutMs: 600_000 })));
  const bytes = answers.flatMap(({ part }) => (part.case === "data" ? [new Uint8Array(part.value)] : []));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(bytes));
  link.download = "vehicles.parquet";
  link.click();
  print(
    "Exported",
    bytes.reduce((sum, each) => sum + each.length, 0),
    "bytes",
  );
}
