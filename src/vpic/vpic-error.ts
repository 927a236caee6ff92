/** Why one request to vPIC failed. */
export type VpicErrorKind =
  /** The connection failed or broke. */
  | "network"
  /** No complete answer within the time limit. */
  | "timeout"
  /** A status other than 200. */
  | "status"
  /** A body above the limit. */
  | "too-large"
  /** Not JSON of the known shape: HTML, XML, a truncated body. */
  | "foreign"
  /** The known shape, but without a usable row for a VIN of the request. */
  | "missing-row";

export interface VpicErrorOptions extends ErrorOptions {
  /** The HTTP status, when there was one. */
  readonly status?: number | undefined;
  /** How long vPIC asks us to wait, in ms. */
  readonly retryAfterMs?: number | undefined;
  /** Whether other VINs of the same request were answered. Default: false. */
  readonly partlyAnswered?: boolean;
}

/** One request to vPIC failed, because of vPIC or the network; never because a caller left. */
export class VpicError extends Error {
  override readonly name = "VpicError";
  readonly kind: VpicErrorKind;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly partlyAnswered: boolean;

  constructor(kind: VpicErrorKind, message: string, options: VpicErrorOptions = {}) {
    super(message, options);
    this.kind = kind;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
    this.partlyAnswered = options.partlyAnswered ?? false;
  }

  /** Whether the same request may succeed later. */
  get isTransient(): boolean {
    return this.kind !== "status" || isTransientStatus(this.status);
  }

  /** Whether it shows that vPIC works: the answer had the known shape, but lacked a row for at least one VIN. */
  get showsVpicWorks(): boolean {
    return this.kind === "missing-row";
  }
}

function isTransientStatus(status: number | undefined): boolean {
  // A redirect or a 204 comes from a proxy between us and vPIC, and may not happen again.
  return status === undefined || status < 400 || status === 408 || status === 429 || status >= 500;
}
