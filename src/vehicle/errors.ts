/**
 * An error that is reported to the caller. Its reason is part of the contract, and subclasses declare it as a literal.
 * Any other error is INTERNAL.
 */
export abstract class DomainError extends Error {
  abstract readonly reason: string;
}

/** A field of a request is malformed. The message is for the caller. */
export class InvalidFieldError extends DomainError {
  override readonly name = "InvalidFieldError";
  readonly reason = "INVALID_FIELD";
  /** The field, in the contract's spelling, such as `vin`, `vins[3]` or `queries[3].vin`. */
  readonly field: string;
  /** What is wrong with it and what to do, without the field's name. */
  readonly description: string;

  constructor(field: string, description: string) {
    super(`${field}: ${description}`);
    this.field = field;
    this.description = description;
  }
}

/** No source knows make, model or year of a well-formed VIN. */
export class VinNotDecodedError extends DomainError {
  override readonly name = "VinNotDecodedError";
  readonly reason = "VIN_NOT_DECODED";
  readonly vin: string;
  /** vPIC's error codes, as returned by the source. */
  readonly codes: readonly number[];
  /** The texts of the codes; may be empty. */
  readonly text: string;
  /** Our own guess at the intended VIN. */
  readonly likelyVin: string | undefined;

  constructor(
    vin: string,
    { codes, text }: { readonly codes: readonly number[]; readonly text: string },
    likelyVin?: string,
  ) {
    const guess = likelyVin === undefined ? "" : `; our guess is that ${likelyVin} was meant`;
    super(`no source knows make, model or year of ${vin}: ${text || `codes ${codes.join(",")}`}${guess}`);
    this.vin = vin;
    this.codes = codes;
    this.text = text;
    this.likelyVin = likelyVin;
  }
}

/**
 * A source cannot answer now: it is out of reach, failing, out of budget or not ready. Thrown by sources. Message and
 * cause are for the log.
 */
export class SourceUnavailableError extends Error {
  override readonly name = "SourceUnavailableError";
  /** When to retry, in ms from now; undefined when the source does not know. */
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
  /** When to retry, in ms from now. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number, options?: ErrorOptions) {
    super("nothing is cached for this VIN and no source can answer now", options);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The store is unavailable. A Lookup treats it as a miss; Remove reports it. */
export class StoreUnavailableError extends DomainError {
  override readonly name = "StoreUnavailableError";
  readonly reason = "CACHE_UNAVAILABLE";
}
