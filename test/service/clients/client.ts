import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** The methods of VehicleService, as the contract spells them. */
export type MethodName = "Lookup" | "BatchLookup" | "Remove" | "Export";

/** The address of the service, and how to trust it. */
export interface Target {
  /** `host:port`. */
  readonly address: string;
  /** The authority that the client trusts when the service uses TLS; undefined when it does not. */
  readonly authority?: TrustedAuthority | undefined;
}

/** The authority that signed the service's certificate. */
interface TrustedAuthority {
  /** Its certificate, as PEM. */
  readonly ca: string;
  /** The file that holds it. */
  readonly caFile: string;
}

/** What a caller may set for a call. */
export interface CallOptions {
  /** The client's own deadline. */
  readonly timeoutMs?: number | undefined;
  /** When aborted, the client cancels the call in its own way. */
  readonly signal?: AbortSignal | undefined;
}

/** A third-party client, connected to one service. */
export interface RealClient extends AsyncDisposable {
  /**
   * Makes a call and returns all messages of the answer, as protobuf's JSON.
   *
   * @throws ConnectError with the code and the details that the client received
   */
  call(method: MethodName, request: JsonObject, options?: CallOptions): Promise<JsonValue[]>;
}

/** A kind of client, with its default settings except for compression. */
export interface ClientKind {
  readonly name: string;
  /** Whether its requests are compressed with gzip. */
  readonly sendsGzip: boolean;
  /** Whether it asks for answers compressed with gzip. */
  readonly takesGzip: boolean;
  open(target: Target): Promise<RealClient>;
}

/** The URL of a service, without a slash at its end. */
export function urlOf({ address, authority }: Target): string {
  return `${authority === undefined ? "http" : "https"}://${address}`;
}
