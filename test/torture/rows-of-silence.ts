import type { Finding, Listener, Row } from "./finding.ts";
import { callHeaders, FrameReader, headers, OPENING, PREFACE } from "./http2-frames.ts";
import { RawConnection } from "./raw-connection.ts";
import { LOOKUP } from "./requests.ts";
import { Target } from "./target.ts";

interface Silence {
  readonly listener: Listener;
  readonly what: string;
  /** Whether the service speaks TLS, and whether the client does, too. Default: neither. */
  readonly tls?: "both" | "service";
  readonly first: Uint8Array;
  /** Sent byte by byte, one a second. */
  readonly drip?: Uint8Array;
  /** When the server is to have had enough. */
  readonly limitMs: number;
  /** Whether the end is that of the call, which the server answers, and not that of the connection. */
  readonly endsCall?: boolean;
}

const head = Buffer.from(
  `POST ${LOOKUP} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 29\r\n`,
);
/** Without a time of its own, a call ends at the deadline that it is given: after 10 s. */
const noTimeout = Buffer.concat([head, Buffer.from("\r\n")]);
const headersOnly = Buffer.concat([head, Buffer.from("Connect-Timeout-Ms: 60000\r\n\r\n")]);
const call = Buffer.concat([OPENING, headers(1, callHeaders(LOOKUP, "localhost", "60S"))]);
const webCall = Buffer.concat([
  OPENING,
  headers(1, callHeaders(LOOKUP, "localhost", "60S", "application/grpc-web+proto")),
]);
/** What has sent its settings is asked after a minute whether it is there, and has 20 s to say so. */
const UNANSWERED_PING_MS = 80_000;
const halfHeaders = call.subarray(0, OPENING.byteLength + 40);
const nothing = Buffer.alloc(0);
/** The head of a TLS record with a ClientHello of 512 bytes, which do not follow. */
const halfHello = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);
const zeros = Buffer.alloc(100);

const SILENCES: readonly Silence[] = [
  { listener: "gRPC", what: "silent connection", first: Buffer.alloc(0), limitMs: 5000 },
  { listener: "gRPC", what: "half preface", first: PREFACE.subarray(0, 12), limitMs: 5000 },
  { listener: "gRPC", what: "preface, a byte a second", first: Buffer.alloc(0), drip: PREFACE, limitMs: 5000 },
  { listener: "gRPC", what: "preface without settings", first: PREFACE, limitMs: 5000 },
  { listener: "gRPC", what: "call without a body", first: call, limitMs: 15_000, endsCall: true },
  { listener: "gRPC", what: "no call", first: OPENING, limitMs: UNANSWERED_PING_MS },
  { listener: "gRPC", what: "half the headers", first: halfHeaders, limitMs: UNANSWERED_PING_MS },
  { listener: "HTTP", what: "silent connection", first: Buffer.alloc(0), limitMs: 5000 },
  { listener: "HTTP", what: "half the headers", first: head, limitMs: 5000 },
  {
    listener: "HTTP",
    what: "headers, a byte a second",
    first: head.subarray(0, 1),
    drip: head.subarray(1),
    limitMs: 5000,
  },
  { listener: "HTTP", what: "request without a body", first: headersOnly, limitMs: 15_000 },
  { listener: "HTTP", what: "request without a body or a timeout", first: noTimeout, limitMs: 10_000 },
  { listener: "HTTP", what: "body, a byte a second", first: headersOnly, drip: zeros, limitMs: 15_000 },
  { listener: "gRPC", what: "no TLS handshake", tls: "service", first: nothing, limitMs: 10_000 },
  { listener: "gRPC", what: "half a TLS handshake", tls: "service", first: halfHello, limitMs: 10_000 },
  { listener: "gRPC", what: "silent after TLS", tls: "both", first: nothing, limitMs: 5000 },
  { listener: "gRPC", what: "half preface after TLS", tls: "both", first: PREFACE.subarray(0, 12), limitMs: 5000 },
  { listener: "HTTP", what: "no TLS handshake", tls: "service", first: nothing, limitMs: 10_000 },
  { listener: "HTTP", what: "half a TLS handshake", tls: "service", first: halfHello, limitMs: 10_000 },
  { listener: "HTTP", what: "silent after TLS", tls: "both", first: nothing, limitMs: 5000 },
  { listener: "HTTP", what: "half the headers after TLS", tls: "both", first: head, limitMs: 5000 },
  { listener: "HTTP", what: "request without a body after TLS", tls: "both", first: headersOnly, limitMs: 15_000 },
  { listener: "HTTP/2", what: "silent after TLS", tls: "both", first: nothing, limitMs: 5000 },
  { listener: "HTTP/2", what: "half preface", tls: "both", first: PREFACE.subarray(0, 12), limitMs: 5000 },
  { listener: "HTTP/2", what: "preface without settings", tls: "both", first: PREFACE, limitMs: 5000 },
  { listener: "HTTP/2", what: "preface, a byte a second", tls: "both", first: nothing, drip: PREFACE, limitMs: 5000 },
  { listener: "HTTP/2", what: "no call", tls: "both", first: OPENING, limitMs: UNANSWERED_PING_MS },
  { listener: "HTTP/2", what: "half the headers", tls: "both", first: halfHeaders, limitMs: UNANSWERED_PING_MS },
  { listener: "HTTP/2", what: "call without a body", tls: "both", first: webCall, limitMs: 15_000, endsCall: true },
];

/** Row 7: connections that say nothing, or next to nothing. All at once, since they take long. */
export const rowsOfSilence: readonly Row[] = [
  {
    number: 7,
    title: "silent and slow connections",
    async run(scale) {
      const silences = SILENCES.filter(({ limitMs }) => scale === "full" || limitMs <= 5000);
      await using target = await Target.start();
      await using secured = await Target.startSecured();
      const findings: Finding[] = [];
      const figures = await target.endure(async () => {
        findings.push(
          ...(await Promise.all(
            silences.map((silence) => keepSilent(silence.tls === undefined ? target : secured, silence)),
          )),
        );
      });
      return [...findings, { listener: "both", what: "meanwhile", figures }];
    },
  },
];

async function keepSilent(
  target: Target,
  { listener, what, tls, first, drip, limitMs, endsCall }: Silence,
): Promise<Finding> {
  using connection = await (tls === "service" ? RawConnection.open(target.addressOf(listener)) : target.open(listener));
  const { promise: callEnded, resolve } = Promise.withResolvers<number>();
  const frames = new FrameReader((_type, isEnd, stream) => {
    if (isEnd && stream === 1) {
      resolve(performance.now() - connection.openedAt);
    }
  });
  connection.read((bytes) => {
    if (endsCall === true) {
      frames.push(bytes);
    }
  });
  await connection.send(first);
  let sent = 0;
  const timer = setInterval(() => {
    if (drip !== undefined && sent < drip.byteLength) {
      void connection.send(drip.subarray(sent, ++sent));
    }
  }, 1000);
  const closed = connection.closed(2 * limitMs);
  const value = await (endsCall === true ? Promise.race([callEnded, closed]) : closed);
  clearInterval(timer);
  return { listener, what, figures: [{ name: "ended ms", value, atLeast: 0.8 * limitMs, atMost: 1.2 * limitMs }] };
}
