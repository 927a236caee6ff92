import type { Registry } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";

import type { Logger } from "../telemetry/logger.ts";
import type { MethodLimits } from "./limits/call-limits.ts";
import type { ContextValuesOf, Peer } from "./peer.ts";

/** How services are served, on either listener. */
export interface MountOptions {
  /** Run around every call, the first one outermost. */
  readonly interceptors: readonly Interceptor[];
  readonly logger: Logger;
  /** Deviations from the limits that `limitsOf` gives. */
  readonly limits?: MethodLimits | undefined;
  /** What `google.protobuf.Any` may hold in messages that are sent as JSON. Default: nothing. */
  readonly types?: Registry | undefined;
  /**
   * Asked for calls that no interceptor sees: those whose request cannot be read, and those of reflection. What it throws
   * is told to the caller instead. Default: everyone may come in.
   */
  readonly admitUnseen?: ((header: Headers, peer: Peer) => void) | undefined;
  /** What a call knows from its start. Default: nothing. */
  readonly contextValues?: ContextValuesOf | undefined;
}
