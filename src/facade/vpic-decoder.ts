import type { LookupCounter } from "../rpc/vehicle-handlers.ts";
import { partListenerOf } from "../rpc/vehicle-handlers.ts";
import { lookupBatch } from "../vehicle/batch-lookup.ts";
import { SourceUnavailableError, VinNotDecodedError } from "../vehicle/errors.ts";
import { SingleFlight } from "../vehicle/single-flight.ts";
import type { Decode, VehicleSource } from "../vehicle/vehicle.ts";
import type { LookupResult, VehicleLookup } from "../vehicle/vehicle-lookup.ts";
import type { Vin } from "../vehicle/vin.ts";
import { parseVin } from "../vehicle/vin.ts";
import type { FlatRow } from "./vpic-rows.ts";
import { toErrorRow, toFlatRow } from "./vpic-rows.ts";

/** A VIN as sent by a client of vPIC's API. */
export interface VpicQuestion {
  readonly vin: string;
  readonly modelYear: number | undefined;
}

/** A row, with the values for the headers of the answer. */
export interface VpicAnswer {
  readonly row: FlatRow;
  readonly source: "vpic" | "snapshot" | "none";
  readonly cached: boolean;
  readonly stale: boolean;
}

export interface VpicDecoderOptions {
  readonly lookup: VehicleLookup;
  /** Decodes VINs that are not complete; undefined when it is not configured. */
  readonly vpic: VehicleSource | undefined;
  readonly counter: LookupCounter;
}

/** Partial VINs that are sent to vPIC. `*` stands for an unknown character. */
const ASKED_OF_VPIC = /^[A-Z0-9*]{1,30}$/;
/** How long vPIC may take for a partial VIN. */
const PATIENCE_MS = 9_000;
const VIN_LENGTH = 17;

const INCOMPLETE = { code: 6, text: "6 - Incomplete VIN" };
const INVALID_CHARACTERS = { code: 400, text: "400 - Invalid Characters Present" };

/** Answers as vPIC does. A VIN that cannot be decoded gets a row with vPIC's error codes. */
export class VpicDecoder {
  readonly #options: VpicDecoderOptions;
  readonly #flights = new SingleFlight<string, Decode>();

  constructor(options: VpicDecoderOptions) {
    this.#options = options;
  }

  /**
   * @param timeoutMs how long the caller waits
   * @returns one answer for each question, in the order of the questions
   * @throws NoSourceAvailableError when a complete VIN is not cached and no source can answer now
   */
  async decode(questions: readonly VpicQuestion[], timeoutMs: number, signal: AbortSignal): Promise<VpicAnswer[]> {
    const answers: VpicAnswer[] = [];
    const complete: { readonly index: number; readonly vin: Vin; readonly modelYear: number | undefined }[] = [];
    const others: Promise<{ readonly index: number; readonly other: VpicAnswer }>[] = [];
    for (const [index, question] of questions.entries()) {
      const vin = parseIfComplete(question.vin);
      if (vin === undefined) {
        const work = this.#decodeOther(question, timeoutMs, signal).then((other) => ({ index, other }));
        // Awaited below. Without this line, an earlier failure would be an unhandled rejection.
        work.catch(() => {});
        others.push(work);
      } else {
        complete.push({ index, vin, modelYear: question.modelYear });
      }
    }
    const batch = lookupBatch(this.#options.lookup, {
      size: complete.length,
      queryAt: (position) => {
        const { vin, modelYear } = complete[position] ?? { vin: parseVin("") };
        return { vin, modelYear };
      },
      view: "full",
      timeoutMs,
      signal,
      onPart: partListenerOf(),
    });
    for await (const answer of batch) {
      const index = complete[answer.index]?.index ?? 0;
      answers[index] = "result" in answer ? this.#toAnswer(answer.result) : this.#toErrorAnswer(answer.error);
    }
    for (const { index, other } of await Promise.all(others)) {
      answers[index] = other;
    }
    return answers;
  }

  #toAnswer(result: LookupResult): VpicAnswer {
    this.#options.counter.countResult(result);
    const { vehicle, cached, stale } = result;
    return { row: toFlatRow(vehicle), source: vehicle.source, cached, stale };
  }

  #toErrorAnswer(error: unknown): VpicAnswer {
    this.#options.counter.countError(error);
    if (!(error instanceof VinNotDecodedError)) {
      throw error;
    }
    return { row: toErrorRow(error.vin, error.codes, error.text), source: "none", cached: false, stale: false };
  }

  /** Answers for a text that is not a complete VIN. Asks vPIC if possible. The answer is not stored. */
  async #decodeOther({ vin, modelYear }: VpicQuestion, timeoutMs: number, signal: AbortSignal): Promise<VpicAnswer> {
    const text = vin.trim().toUpperCase();
    const { vpic } = this.#options;
    if (vpic !== undefined && isAskedOfVpic(text)) {
      const patience = AbortSignal.timeout(Math.max(0, Math.min(PATIENCE_MS, Math.floor(0.9 * timeoutMs))));
      try {
        const query = { vin: text, modelYear };
        const decode = await this.#flights.join(
          `${text} ${modelYear ?? ""}`,
          (flightSignal) => vpic.decode(query, flightSignal),
          AbortSignal.any([signal, patience]),
          { keep: false },
        );
        return { row: toFlatRow(decode), source: "vpic", cached: false, stale: false };
      } catch (error) {
        if (!patience.aborted && !(error instanceof SourceUnavailableError)) {
          throw error;
        }
      }
    }
    const faults = [
      ...(text.length < VIN_LENGTH || text.includes("*") ? [INCOMPLETE] : []),
      ...(/[^A-HJ-NPR-Z0-9*]/.test(text) || text.length > VIN_LENGTH ? [INVALID_CHARACTERS] : []),
    ];
    const row = toErrorRow(
      text,
      faults.map(({ code }) => code),
      faults.map(({ text: words }) => words).join("; "),
    );
    return { row, source: "none", cached: false, stale: false };
  }
}

/** Whether vPIC can decode the known part of a text. The text has the type Vin because the source requires it. */
function isAskedOfVpic(text: string): text is Vin {
  return ASKED_OF_VPIC.test(text);
}

function parseIfComplete(text: string): Vin | undefined {
  try {
    return parseVin(text);
  } catch {
    return undefined;
  }
}
