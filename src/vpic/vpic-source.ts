import type { Logger } from "../telemetry/logger.ts";
import { SourceUnavailableError } from "../vehicle/errors.ts";
import { SingleFlight } from "../vehicle/single-flight.ts";
import type { Decode, VehicleQuery, VehicleSource } from "../vehicle/vehicle.ts";
import { createAskVpic } from "./ask-vpic.ts";
import { withAttemptTimeout } from "./attempt-timeout.ts";
import { Batch, Question } from "./batch.ts";
import type { Call } from "./stop.ts";
import { VpicClient } from "./vpic-client.ts";

const CONNECT_TIMEOUT_MS = 1_000;
const ATTEMPT_TIMEOUT_MS = 8_000;

export interface VpicSourceOptions {
  /** As `parseVpicUrl` gives it. */
  readonly baseUrl: string;
  /** Names the service and its version, such as `VehicleService/1.0.0`. */
  readonly userAgent: string;
  readonly logger: Logger;
  /** The wall clock, in ms since the epoch. Default `Date.now`. */
  readonly now?: () => number;
}

/** Decodes with the live vPIC API. */
export class VpicSource implements VehicleSource, AsyncDisposable {
  readonly name = "vpic";
  readonly #client: VpicClient;
  readonly #ask: Call<Batch>;
  readonly #flights = new SingleFlight<string, Decode>();

  constructor(options: VpicSourceOptions) {
    const now = options.now ?? Date.now;
    this.#client = new VpicClient({ ...options, connectTimeoutMs: CONNECT_TIMEOUT_MS, now });
    this.#ask = withAttemptTimeout(
      ATTEMPT_TIMEOUT_MS,
      createAskVpic((queries, signal) => this.#client.fetchRows(queries, signal), now),
    );
  }

  async decode(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    const key = `${query.vin},${query.modelYear ?? ""}`;
    return await this.#flights.join(key, (flight) => this.#askOne(query, flight), signal, { keep: false });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #askOne(query: VehicleQuery, signal: AbortSignal): Promise<Decode> {
    const batch = new Batch();
    const question = new Question(query, signal);
    batch.add(question);
    this.#ask(batch, { signal: batch.abandoned, whileWaiting: batch.abandoned }).catch((error: unknown) =>
      batch.reject(new SourceUnavailableError("vPIC did not answer", { cause: error })),
    );
    return await question.answer;
  }
}

/** Opens the source; nothing is sent before the first decode. */
export function createVpicSource(options: VpicSourceOptions): VpicSource {
  return new VpicSource(options);
}
