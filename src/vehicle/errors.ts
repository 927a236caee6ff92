import type { VehicleQuery, Verdict } from "./vehicle.ts";

/**
 * An error that callers are told about, by a reason that is part of the contract; subclasses give it as a literal. Any
 * other error is INTERNAL.
 */
export abstract class DomainError extends Error {
  abstract readonly reason: string;
}

/** A field of a request is malformed. The message is for the caller. */
export class InvalidFieldError extends DomainError {
  override readonly name = "InvalidFieldError";
  readonly reason = "INVALID_FIELD";
  /** The field, in the contract's spelling, such as `vin` or `vins[3]`. */
  readonly field: string;
  /** What is wrong with it and what to do, without the field's name. */
  readonly description: string;

  constructor(field: string, description: string) {
    super(`${field}: ${description}`);
    this.field = field;
    this.description = description;
  }
}

/** A well-formed VIN of which no source knows make, model or year. */
export class VinNotDecodedError extends DomainError {
  override readonly name = "VinNotDecodedError";
  readonly reason = "VIN_NOT_DECODED";
  readonly query: VehicleQuery;
  /** The judgement of the source that was asked. */
  readonly verdict: Verdict;

  constructor(query: VehicleQuery, verdict: Verdict) {
    super(`no source knows make, model or year of ${query.vin}: ${verdict.text || `codes ${verdict.codes.join(",")}`}`);
    this.query = query;
    this.verdict = verdict;
  }
}

/**
 * A source cannot answer now: out of reach, failing, out of budget or not ready. Thrown by sources; what is wrong is
 * in the message and the cause, for the log.
 */
export class SourceUnavailableError extends Error {
  override readonly name = "SourceUnavailableError";
  /** When asking again may help, in ms from now; undefined when the source cannot tell. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { retryAfterMs?: number | undefined } = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Nothing is cached and no source can answer now. */
export class NoSourceAvailableError extends DomainError {
  override readonly name = "NoSourceAvailableError";
  readonly reason = "NO_SOURCE_AVAILABLE";
  /** When asking again may help, in ms from now. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number, options?: ErrorOptions) {
    super("nothing is cached for this VIN and no source can answer now", options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The store cannot do what was asked, now. Reads and writes of a Lookup treat it as a miss; Remove reports it. */
export class StoreUnavailableError extends DomainError {
  override readonly name = "StoreUnavailableError";
  readonly reason = "CACHE_UNAVAILABLE";
}
