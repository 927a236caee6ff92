/** What went wrong with one attempt to ask vPIC. */
export type VpicFaultKind =
  /** No connection, or it broke. */
  | "network"
  /** No complete answer within the attempt's time. */
  | "timeout"
  /** A status other than 200. */
  | "status"
  /** A body above the limit. */
  | "too-large"
  /** Not JSON of the known shape: HTML, XML, a cut body. */
  | "foreign"
  /** The known shape, but without a row for a VIN that was asked. */
  | "missing-row";

export interface VpicFaultOptions extends ErrorOptions {
  /** The HTTP status, when there was one. */
  readonly status?: number | undefined;
  /** How long vPIC wants to be left alone, in ms. */
  readonly retryAfterMs?: number | undefined;
  /** Whether rows for other VINs of the same request were fine. Default false. */
  readonly partlyAnswered?: boolean;
}

/** One attempt to ask vPIC failed, by vPIC's doing or the network's; never by a caller's going away. */
export class VpicFault extends Error {
  override readonly name = "VpicFault";
  readonly kind: VpicFaultKind;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly partlyAnswered: boolean;

  constructor(kind: VpicFaultKind, message: string, options: VpicFaultOptions = {}) {
    super(message, options);
    this.kind = kind;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
    this.partlyAnswered = options.partlyAnswered ?? false;
  }

  /** Whether the same question may be answered when asked again. */
  get isTransient(): boolean {
    return this.kind !== "status" || isTransientStatus(this.status);
  }
}

function isTransientStatus(status: number | undefined): boolean {
  // A redirect or a 204 comes from something between us and vPIC, which may be gone the next time.
  return status === undefined || status < 400 || status === 408 || status === 429 || status >= 500;
}
