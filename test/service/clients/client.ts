import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** The methods of VehicleService, as the contract spells them. */
export type MethodName = "Lookup" | "BatchLookup" | "Remove" | "Export";

/** Where a client finds the service. */
export interface Target {
  /** `host:port`. */
  readonly address: string;
  /** Whom the client trusts when the service speaks TLS; undefined when it does not. */
  readonly authority?: TrustedAuthority | undefined;
}

/** Who signed the service's certificate. */
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
  /** Aborted, the client cancels in the way it has. */
  readonly signal?: AbortSignal | undefined;
}

/** A client that somebody else has written, connected to one service. */
export interface RealClient extends AsyncDisposable {
  /**
   * Makes a call and gives all its messages, in the JSON of protobuf.
   *
   * @throws ConnectError with the code and the details that the client has read
   */
  call(method: MethodName, request: JsonObject, options?: CallOptions): Promise<JsonValue[]>;
}

/** A kind of client, with the settings that it has by default but for compression. */
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
