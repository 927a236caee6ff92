import type { Finding, Row } from "./finding.ts";
import { callHeaders, FrameReader, headers, OPENING, PREFACE } from "./http2-frames.ts";
import { RawConnection } from "./raw-connection.ts";
import { LOOKUP } from "./requests.ts";
import { Target } from "./target.ts";

interface Silence {
  readonly listener: "gRPC" | "HTTP";
  readonly what: string;
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
const headersOnly = Buffer.concat([head, Buffer.from("\r\n")]);
const call = Buffer.concat([OPENING, headers(1, callHeaders(LOOKUP, "localhost", "60S"))]);
const zeros = Buffer.alloc(100);

const SILENCES: readonly Silence[] = [
  { listener: "gRPC", what: "silent connection", first: Buffer.alloc(0), limitMs: 5000 },
  { listener: "gRPC", what: "half preface", first: PREFACE.subarray(0, 12), limitMs: 5000 },
  { listener: "gRPC", what: "preface, a byte a second", first: Buffer.alloc(0), drip: PREFACE, limitMs: 5000 },
  { listener: "gRPC", what: "call without a body", first: call, limitMs: 15_000, endsCall: true },
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
  { listener: "HTTP", what: "body, a byte a second", first: headersOnly, drip: zeros, limitMs: 15_000 },
];

/** Row 7: connections that say nothing, or next to nothing. All at once, since they take long. */
export const rowsOfSilence: readonly Row[] = [
  {
    number: 7,
    title: "silent and slow connections",
    async run(scale) {
      const silences = SILENCES.filter(({ limitMs }) => scale === "full" || limitMs <= 5000);
      await using target = await Target.start();
      const findings: Finding[] = [];
      const figures = await target.endure(async () => {
        findings.push(...(await Promise.all(silences.map((silence) => keepSilent(target, silence)))));
      });
      return [...findings, { listener: "both", what: "meanwhile", figures }];
    },
  },
];

async function keepSilent(
  target: Target,
  { listener, what, first, drip, limitMs, endsCall }: Silence,
): Promise<Finding> {
  using connection = await RawConnection.open(listener === "gRPC" ? target.grpcAddress : target.httpAddress);
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
