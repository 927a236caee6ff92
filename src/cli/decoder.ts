import { setTimeout } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { LookupResponse, VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { LookupResponseSchema, View as ViewMessage } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { loadConfig } from "../config.ts";
import { openLookup } from "../open-lookup.ts";
import { describeError } from "../rpc/error-table.ts";
import { parseQuery } from "../rpc/request-fields.ts";
import { toLookupResponse } from "../rpc/vehicle-messages.ts";
import { createLogger } from "../telemetry/logger.ts";
import { lookupBatch } from "../vehicle/batch-lookup.ts";
import type { VehicleQuery, View } from "../vehicle/vehicle.ts";
import { parseVin } from "../vehicle/vin.ts";
import type { ServiceArguments } from "./service-client.ts";
import { openServiceClient } from "./service-client.ts";

/** A VIN as the user wrote it, with the model year if the user knows it. */
interface Query {
  readonly vin: string;
  readonly modelYear?: number | undefined;
}

/** A vehicle, or why there is none, for the user. */
type Answer = { readonly vehicle: LookupResponse } | { readonly fault: string };

/** Decodes VINs and removes them from the cache, through a running service or in this process. */
export interface Decoder extends AsyncDisposable {
  /**
   * Answers at most 5,000 queries, in their order.
   *
   * @throws the reason of `signal` when aborted; errors that concern all queries.
   */
  decode(queries: readonly Query[], view: View, signal: AbortSignal): Promise<Answer[]>;
  /** @returns whether the cache held the VIN. @throws InvalidFieldError when it is malformed. */
  remove(vin: string, signal: AbortSignal): Promise<boolean>;
}

/** @param service a running service. Without it, this process opens the configured cache and sources. */
export function openDecoder(service: ServiceArguments | undefined): Promise<Decoder> {
  return service === undefined ? openLocalDecoder() : openRemoteDecoder(service);
}

async function openLocalDecoder(): Promise<Decoder> {
  const config = loadConfig(process.env);
  const isLevelSet = (process.env["LOG_LEVEL"] ?? "").trim() !== "";
  const logger = createLogger(isLevelSet ? config.logLevel : "warn", process.stderr);
  const open = await openLookup(config, { logger });
  const errorContext = { requestId: "", procedure: "decode", logger };
  return {
    async decode(queries, view, signal) {
      const answers: Answer[] = [];
      const now = Date.now();
      const batch = lookupBatch(open.lookup, {
        size: queries.length,
        queryAt: (index) => parseQuery(queries[index] ?? { vin: "" }, now),
        view,
        signal,
      });
      for await (const answer of batch) {
        answers[answer.index] =
          "result" in answer
            ? { vehicle: create(LookupResponseSchema, toLookupResponse(answer.result, view)) }
            : { fault: describeError(answer.error, errorContext).message };
      }
      return answers;
    },
    remove: async (vin) => open.lookup.remove(parseVin(vin)),
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

async function openRemoteDecoder(service: ServiceArguments): Promise<Decoder> {
  const client = await openServiceClient(service);
  return {
    decode: (queries, view, signal) => decodeRemotely(client, queries, view, signal),
    remove: (vin, signal) =>
      withRetries(signal, async () => (await client.remove({ vin: parseVin(vin) }, { signal })).removed),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function decodeRemotely(
  client: Client<typeof VehicleService>,
  queries: readonly Query[],
  view: View,
  signal: AbortSignal,
): Promise<Answer[]> {
  const answers: (Answer | undefined)[] = queries.map(findFault);
  await withRetries(signal, async () => {
    // A retry asks only for what the attempts before it have not answered.
    const open = [...answers.keys()].filter((index) => answers[index] === undefined);
    if (open.length === 0) {
      return;
    }
    const request = {
      queries: open.map((index) => toQueryMessage(queries[index])),
      view: view === "full" ? ViewMessage.FULL : ViewMessage.BASIC,
    };
    for await (const { index, result } of client.batchLookup(request, { signal })) {
      const place = open[index];
      if (place !== undefined && result.case !== undefined) {
        answers[place] = result.case === "vehicle" ? { vehicle: result.value } : { fault: result.value.message };
      }
    }
  });
  return answers.map((answer) => answer ?? { fault: "the service did not answer for this VIN" });
}

/** Malformed queries are not sent, so that their messages do not name a place in a batch. */
function findFault(query: Query): Answer | undefined {
  try {
    parseQuery(query, Date.now());
    return undefined;
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
}

function toQueryMessage({ vin, modelYear }: VehicleQuery | Query = { vin: "" }): { vin: string; modelYear?: number } {
  return { vin, ...(modelYear === undefined ? {} : { modelYear }) };
}

/** How often in a row a service that is away is tried. */
const ATTEMPTS = 8;
const FIRST_PAUSE_MS = 250;

/** Repeats what was refused for now: for as long as the rate is exceeded, and some times when the service is away. */
async function withRetries<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let failures = 0; ;) {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ConnectError)) {
        throw error;
      }
      const retryAfterMs = retryAfterMsOf(error);
      const isPaced = error.code === Code.ResourceExhausted && retryAfterMs !== undefined;
      failures += isPaced ? 0 : 1;
      if (!isPaced && (error.code !== Code.Unavailable || failures === ATTEMPTS)) {
        throw error;
      }
      await setTimeout(retryAfterMs ?? FIRST_PAUSE_MS * 2 ** failures, undefined, { signal });
    }
  }
}

function retryAfterMsOf(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? undefined : durationMs(delay);
}
