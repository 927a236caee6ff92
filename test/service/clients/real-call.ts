import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Addresses } from "../../support/clients.ts";

/** The methods of VehicleService, as the contract spells them. */
export type MethodName = "Lookup" | "BatchLookup" | "Remove" | "Export";

/** What a caller may set for a call. */
export interface CallOptions {
  /** The client's own deadline. */
  readonly timeoutMs?: number | undefined;
  /** Aborted, the client cancels in the way it has. */
  readonly signal?: AbortSignal | undefined;
}

/** A client that somebody else has written, and that speaks to one service. */
export interface RealClient extends AsyncDisposable {
  /**
   * Makes a call and gives all its messages, in the JSON of protobuf.
   *
   * @throws ConnectError with the code and the details that the client has read
   */
  call(method: MethodName, request: JsonObject, options?: CallOptions): Promise<JsonValue[]>;
}

/** A kind of client, and what it can do about compression. */
export interface RealClientKind {
  readonly port: "grpcAddress" | "httpAddress";
  /** Whether its requests are compressed with gzip. */
  readonly compressesRequests: boolean;
  /** Whether it gets its answers compressed with gzip. */
  readonly getsCompressed: boolean;
  open(addresses: Addresses): Promise<RealClient>;
}
