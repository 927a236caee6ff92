import { callHeaders, FrameReader, headers, OPENING, PREFACE } from "../support/http2-frames.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { LOOKUP } from "./requests.ts";

/** The limit that ends a silent connection. */
export type Limit = "first bytes" | "preface" | "head" | "request" | "deadline" | "ping" | "handshake";

/** A connection that sends nothing, or almost nothing. */
export interface Silence {
  readonly what: string;
  readonly protocol: "h2" | "http/1.1";
  /** Whether the service uses TLS, and whether the client does as well. Default: neither. */
  readonly tls?: "both" | "service";
  readonly first: Uint8Array;
  /** Sent one byte at a time, at the interval of {@link keepSilent}. */
  readonly drip?: Uint8Array;
  readonly limit: Limit;
  /** Whether the call is answered and ends, instead of the connection. */
  readonly endsCall?: true;
}

const head = Buffer.from(
  `POST ${LOOKUP} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 29\r\n`,
);
const nothing = Buffer.alloc(0);
const headersOnly = Buffer.concat([head, Buffer.from("Connect-Timeout-Ms: 30000\r\n\r\n")]);
const withoutTimeout = Buffer.concat([head, Buffer.from("\r\n")]);
const call = Buffer.concat([OPENING, headers(1, callHeaders(LOOKUP, "localhost", "30S"))]);
const webType = "application/grpc-web+proto";
const webCall = Buffer.concat([OPENING, headers(1, callHeaders(LOOKUP, "localhost", "30S", webType))]);
/** The head of a TLS record that announces a ClientHello of 512 bytes, without these bytes. */
const halfHello = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);

const http2Silences: readonly Silence[] = [
  { what: "half the preface", protocol: "h2", first: PREFACE.subarray(0, 12), limit: "first bytes" },
  { what: "the preface, a byte at a time", protocol: "h2", first: nothing, drip: PREFACE, limit: "first bytes" },
  { what: "the preface without settings", protocol: "h2", first: PREFACE, limit: "preface" },
  { what: "no call", protocol: "h2", first: OPENING, limit: "ping" },
  { what: "half the headers", protocol: "h2", first: call.subarray(0, OPENING.byteLength + 40), limit: "ping" },
  { what: "a gRPC call without a message", protocol: "h2", first: call, limit: "request", endsCall: true },
  { what: "a gRPC-Web call without a message", protocol: "h2", first: webCall, limit: "request", endsCall: true },
];

const http1Silences: readonly Silence[] = [
  { what: "nothing", protocol: "http/1.1", first: nothing, limit: "first bytes" },
  { what: "half the headers", protocol: "http/1.1", first: head, limit: "head" },
  {
    what: "headers, a byte at a time",
    protocol: "http/1.1",
    first: head.subarray(0, 1),
    drip: head.subarray(1),
    limit: "head",
  },
  { what: "a request without its body", protocol: "http/1.1", first: headersOnly, limit: "request" },
  {
    what: "a body, a byte at a time",
    protocol: "http/1.1",
    first: headersOnly,
    drip: Buffer.alloc(25),
    limit: "request",
  },
];

/** Row 5: over TCP and, where it may differ, over TLS. */
export const SILENCES: readonly Silence[] = [...http2Silences, ...http1Silences];

/** The same over TLS where it may differ, and silences that only TLS has. */
export const SECURED_SILENCES: readonly Silence[] = [
  { what: "no handshake", protocol: "h2", tls: "service", first: nothing, limit: "first bytes" },
  { what: "half a handshake", protocol: "h2", tls: "service", first: halfHello, limit: "handshake" },
  ...SILENCES.map((silence): Silence => Object.assign({}, silence, { tls: "both" })),
];

/** For the usual limits only. With shortened ones, the limit of an incomplete request would end it first. */
export const DEADLINE_SILENCE: Silence = {
  what: "a request without its body or a timeout",
  protocol: "http/1.1",
  first: withoutTimeout,
  limit: "deadline",
  endsCall: true,
};

/** How a silent connection ended: closed, or its call answered. */
export interface SilenceEnd {
  readonly how: "closed" | "answered" | "neither";
  readonly ms: number;
}

/**
 * Opens the connection and waits for its end.
 *
 * @param ca authority of the service's certificate, as PEM, for TLS
 * @param dripMs time between two bytes
 */
export async function keepSilent(
  { protocol, tls, first, drip = nothing, endsCall }: Silence,
  {
    address,
    ca = "",
    dripMs,
    patienceMs,
  }: { address: string; ca?: string | undefined; dripMs: number; patienceMs: number },
): Promise<SilenceEnd> {
  using connection = await RawConnection.open(address, undefined, tls === "both" ? { ca, protocol } : undefined);
  const answered = new Promise<SilenceEnd>((resolve) => {
    const end = (): void => resolve({ how: "answered", ms: performance.now() - connection.openedAt });
    const frames = new FrameReader((_type, isEnd, stream) => {
      if (isEnd && stream === 1) {
        end();
      }
    });
    connection.read((bytes) => {
      if (endsCall === true && protocol === "h2") {
        frames.push(bytes);
      } else if (endsCall === true) {
        end();
      }
    });
  });
  await connection.send(first);
  let sent = 0;
  const timer = setInterval(() => {
    if (sent < drip.byteLength) {
      void connection.send(drip.subarray(sent, ++sent));
    }
  }, dripMs);
  const closed = connection.closed(patienceMs).then((ms): SilenceEnd => {
    return { how: Number.isFinite(ms) ? "closed" : "neither", ms };
  });
  const end = await Promise.race([answered, closed]);
  clearInterval(timer);
  return end;
}
