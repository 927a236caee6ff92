import type { ConnectError, Interceptor } from "@connectrpc/connect";
import type { Call } from "../rpc/call.ts";
import type { Gate } from "../rpc/interceptors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { CallWatch } from "./call-watch.ts";

/** A call that may wait for ever. */
export interface BackgroundCall {
  /** Ends it because the service stops. */
  shutDown(): void;
}

/** What every transport needs to serve calls, whatever their protocol. */
export interface CallHost {
  readonly interceptors: readonly Interceptor[];
  readonly gate: Gate;
  readonly watch: CallWatch;
  /** The open calls of methods that run in the background. */
  readonly background: Set<BackgroundCall>;
  readonly logger: Logger;
  /** What a call is told that finds no place; prepared beforehand. */
  readonly overloaded: ConnectError;
  /** Told of every call when its headers have arrived. */
  readonly onCallStart: (call: Call) => void;
  /** Told of every call at its true end. */
  readonly onCallEnd: (call: Call) => void;
}
