import type { ServiceImplSpec } from "@connectrpc/connect";

import type { SessionLifetime } from "./http2/sessions.ts";
import type { ConnectionLimits } from "./limits/connection-gate.ts";
import type { IncompleteRequests } from "./limits/incomplete-requests.ts";
import type { MountOptions } from "./mount-options.ts";
import type { TlsCertificates } from "./tls/certificates.ts";

/** What both listeners want. */
export interface ListenerOptions extends MountOptions {
  /** The address to listen on, such as `127.0.0.1` or `::`. */
  readonly host: string;
  /** The port; 0 picks a free one. */
  readonly port: number;
  /** The services, as `createServiceImplSpec` gives them. */
  readonly services: readonly ServiceImplSpec[];
  /** What requests may hold before they are whole. Default: limits of the listener's own. */
  readonly incomplete?: IncompleteRequests | undefined;
  /** Deviations from the usual limits of connections. */
  readonly connections?: Partial<ConnectionLimits> | undefined;
  /** How long a request may take to arrive, in ms, give or take a second. Default: 15 s. */
  readonly arrivalTimeoutMs?: number | undefined;
  /** Deviations from the usual life of connections. */
  readonly sessions?: Partial<SessionLifetime> | undefined;
  /** How long a client may leave its side open after the server has closed its own, in ms. Default: 30 s. */
  readonly lingerMs?: number | undefined;
  /** With it, the listener speaks TLS. */
  readonly tls?: TlsCertificates | undefined;
}
