// TypeScript with grpc-js and the messages of Protobuf-ES. Beside a running service:
//   npx node examples/grpc-js.ts
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { ServiceError } from "@grpc/grpc-js";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { BadRequestSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";
import type { ExportResponse } from "../gen/vehicle/v1/vehicle_service_pb.ts";
import { VehicleService } from "../gen/vehicle/v1/vehicle_service_pb.ts";

const { ADDRESS = "127.0.0.1:50051", TOKEN = "" } = process.env;
const { lookup, batchLookup, export: exportAll } = VehicleService.method;

// A call that the service refuses is repeated when the service says so (grpc-retry-pushback-ms). Without an answer, the
// client backs off.
const serviceConfig = {
  methodConfig: [
    {
      name: [{ service: VehicleService.typeName }],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: "0.5s",
        maxBackoff: "10s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
      },
    },
  ],
};
const options = { "grpc.service_config": JSON.stringify(serviceConfig) };
const client = new Client(ADDRESS, credentials.createInsecure(), options);
const metadata = new Metadata();
metadata.set("authorization", `Bearer ${TOKEN}`);

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function serialize<Schema extends DescMessage>(schema: Schema) {
  return (message: MessageShape<Schema>): Buffer => Buffer.from(toBinary(schema, message));
}

function deserialize<Schema extends DescMessage>(schema: Schema) {
  return (bytes: Buffer): MessageShape<Schema> => fromBinary(schema, bytes);
}

/** Calls a method with one answer. */
function call<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethod & { input: Input; output: Output },
  request: MessageInitShape<Input>,
  deadlineMs: number,
): Promise<MessageShape<Output>> {
  const [input, output] = [serialize(method.input), deserialize(method.output)];
  const message = create(method.input, request);
  const deadline = Date.now() + deadlineMs;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(pathOf(method), input, output, message, metadata, { deadline }, (error, answer) =>
      answer === undefined ? reject(error ?? new Error("no answer")) : resolve(answer),
    );
  });
}

/** Calls a method with a stream of answers. */
function stream<Input extends DescMessage, Output extends DescMessage>(
  method: DescMethod & { input: Input; output: Output },
  request: MessageInitShape<Input>,
  deadlineMs: number,
): AsyncIterable<MessageShape<Output>> {
  const [input, output] = [serialize(method.input), deserialize(method.output)];
  const message = create(method.input, request);
  const deadline = Date.now() + deadlineMs;
  return client.makeServerStreamRequest(pathOf(method), input, output, message, metadata, { deadline });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "metadata" in error;
}

/** What is wrong with the fields of a request. */
function violationsOf({ metadata }: ServiceError): string[] {
  const [bytes] = metadata.get("grpc-status-details-bin");
  const details = Buffer.isBuffer(bytes) ? fromBinary(StatusSchema, bytes).details : [];
  return details
    .flatMap((detail) => anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? [])
    .map(({ field, description }) => `${field}: ${description}`);
}

// One VIN, within 5 s.
const vehicle = await call(lookup, { vin: "1XPWD40X1ED215307" }, 5_000);
console.log("Lookup:", vehicle.make, vehicle.model, vehicle.modelYear);

// A malformed VIN: the details of the error say what is wrong with it.
try {
  await call(lookup, { vin: "1XPWD40X1ED2153O7" }, 5_000);
} catch (error) {
  if (!isServiceError(error)) throw error;
  console.log("Lookup failed:", status[error.code], violationsOf(error).join("; "));
}

// Many VINs. One bad VIN does not affect the others.
const vins = ["1XPWD40X1ED215307", "1XPWD40X1ED2153O7", "1XKWDB0X57J211825"];
for await (const { index, result } of stream(batchLookup, { vins }, 60_000)) {
  if (result.case === "vehicle") {
    console.log("BatchLookup:", vins[index], result.value.make, result.value.model);
  } else if (result.case === "error") {
    console.log("BatchLookup:", vins[index], result.value.message);
  }
}

// The whole cache as a Parquet file, in parts.
async function* bytesOf(parts: AsyncIterable<ExportResponse>) {
  for await (const { part } of parts) {
    if (part.case === "metadata") console.log("Export:", Number(part.value.rowCount), "vehicles");
    if (part.case === "data") yield part.value;
  }
}
await pipeline(bytesOf(stream(exportAll, {}, 600_000)), createWriteStream("vehicles.parquet"));
client.close();
