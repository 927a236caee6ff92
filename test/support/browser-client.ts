import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

const CREATE_TRANSPORT = { connect: createConnectTransport, "grpc-web": createGrpcWebTransport };

/** What the browser saw of each kind of call. */
export interface BrowserReport {
  readonly make: string;
  readonly badField: string | undefined;
  /** With vPIC silent and no other source, the service answers just before the deadline, unless the browser is quicker. */
  readonly atDeadline: string | undefined;
  readonly canceled: string | undefined;
  readonly exportedBytes: number;
  readonly announcedBytes: number;
}

/** Makes one call of each kind, in the browser. */
export async function callEverything(
  protocol: keyof typeof CREATE_TRANSPORT,
  baseUrl: string,
  vin: string,
  slowVin: string,
): Promise<BrowserReport> {
  const transport: Transport = CREATE_TRANSPORT[protocol]({ baseUrl, useBinaryFormat: true });
  const client = createClient(VehicleService, transport);
  const { make } = await client.lookup({ vin });
  const refusal = await errorOf(client.lookup({ vin: "1XPWD40XIED215307" }));
  const tooLate = await errorOf(client.lookup({ vin: slowVin }, { timeoutMs: 400 }));
  const caller = new AbortController();
  const canceled = errorOf(client.lookup({ vin: slowVin }, { signal: caller.signal }));
  caller.abort();
  let announcedBytes = 0;
  let exportedBytes = 0;
  for await (const { part } of client.export({})) {
    if (part.case === "metadata") {
      announcedBytes = Number(part.value.sizeBytes);
    } else if (part.case === "data") {
      exportedBytes += part.value.byteLength;
    }
  }
  return {
    make,
    badField: refusal?.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field,
    atDeadline: nameOf(tooLate),
    canceled: nameOf(await canceled),
    exportedBytes,
    announcedBytes,
  };
}

async function errorOf(call: Promise<unknown>): Promise<ConnectError | undefined> {
  return call.then(
    () => undefined,
    (error: unknown) => ConnectError.from(error),
  );
}

function nameOf(error: ConnectError | undefined): string | undefined {
  return error === undefined ? undefined : Code[error.code];
}
