import { setTimeout } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { View as ViewMessage } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { loadConfig } from "../config.ts";
import { parseQuery } from "../rpc/request-fields.ts";
import type { Answer, Decoder, Query } from "../table/decode-table.ts";
import { createLocalDecoder } from "../table/local-decoder.ts";
import { createLogger } from "../telemetry/logger.ts";
import type { VehicleQuery, View } from "../vehicle/vehicle.ts";
import { parseVin } from "../vehicle/vin.ts";
import type { ServiceArguments } from "./service-client.ts";
import { isOfConnection, openServiceClient } from "./service-client.ts";

/** Decodes VINs and removes them from the cache, through a running service or in this process. */
export interface OpenDecoder extends Decoder, AsyncDisposable {
  /** @returns whether the cache held the VIN. @throws InvalidFieldError when it is malformed. */
  remove(vin: string, signal: AbortSignal): Promise<boolean>;
}

/** @param service a running service. Without it, this process opens the configured cache and sources. */
export function openDecoder(service: ServiceArguments | undefined): Promise<OpenDecoder> {
  return service === undefined ? openLocalDecoder() : openRemoteDecoder(service);
}

async function openLocalDecoder(): Promise<OpenDecoder> {
  const config = loadConfig(process.env);
  const isLevelSet = (process.env["LOG_LEVEL"] ?? "").trim() !== "";
  const logger = createLogger(isLevelSet ? config.logLevel : "warn", process.stderr);
  // The databases take a second to load, and commands with --address need none.
  const { openLookup } = await import("../open-lookup.ts");
  const open = await openLookup(config, { logger });
  return {
    ...createLocalDecoder(open.lookup, { requestId: "", procedure: "decode", logger }),
    remove: async (vin) => open.lookup.remove(parseVin(vin)),
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

async function openRemoteDecoder(service: ServiceArguments): Promise<OpenDecoder> {
  const client = await openServiceClient(service);
  const retries = new Retries();
  return {
    decode: (queries, view, signal) => decodeRemotely(client, retries, queries, view, signal),
    remove: (vin, signal) =>
      retries.run(signal, async () => {
        const { removed } = await client.remove({ vin: parseVin(vin) }, { signal });
        retries.hasAnswered = true;
        return removed;
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function decodeRemotely(
  client: Client<typeof VehicleService>,
  retries: Retries,
  queries: readonly Query[],
  view: View,
  signal: AbortSignal,
): Promise<Answer[]> {
  const answers: (Answer | undefined)[] = queries.map(findFault);
  await retries.run(signal, async () => {
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
      retries.hasAnswered = true;
      const place = open[index];
      if (place !== undefined && result.case !== undefined) {
        answers[place] = result.case === "vehicle" ? { vehicle: result.value } : { fault: result.value.message };
      }
    }
  });
  return answers.map((answer) => answer ?? { fault: "the service did not answer for this VIN" });
}

/** Malformed queries are not sent, so that their messages do not name an index of a batch. */
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

/** How many times in a row an unavailable service is tried. */
const ATTEMPTS = 8;
const FIRST_PAUSE_MS = 250;

/** Repeats work that a service has refused or broken off. All calls can be repeated. */
class Retries {
  /** Whether the service has answered anything. */
  hasAnswered = false;

  /** For as long as the rate limit is exceeded, and a few times while the service is unavailable. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
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
        if (!isPaced && (!this.#mayPass(error) || failures === ATTEMPTS)) {
          throw error;
        }
        await setTimeout(retryAfterMs ?? FIRST_PAUSE_MS * 2 ** failures, undefined, { signal });
      }
    }
  }

  /** Where nothing has answered yet, the address is probably wrong. */
  #mayPass(error: ConnectError): boolean {
    const isService = !isOfConnection(error);
    this.hasAnswered ||= isService;
    return isService ? error.code === Code.Unavailable : this.hasAnswered;
  }
}

function retryAfterMsOf(error: ConnectError): number | undefined {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? undefined : durationMs(delay);
}
