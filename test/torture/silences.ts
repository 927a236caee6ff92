import type { ServerLimits } from "../../src/server/server.ts";
import { callHeaders, FrameReader, headers, OPENING, PREFACE } from "../support/http2-frames.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { startTestApp } from "../support/test-app.ts";
import { writeTls } from "../support/tls-on-disk.ts";
import type { Finding } from "./finding.ts";
import { measured, none } from "./finding.ts";
import type { Row } from "./row.ts";
import { pathOf } from "./ways.ts";

/**
 * The default limits that end silent connections, in ms. A client that has sent its settings gets a PING after a minute,
 * and has 20 s to answer it.
 */
const LIMITS = {
  "first bytes": 5_000,
  preface: 5_000,
  head: 5_000,
  handshake: 10_000,
  deadline: 10_000,
  request: 15_000,
  ping: 80_000,
};
const DRIP_MS = 1_000;

/** Limits in tests, so short that they cannot be mistaken for the usual ones. */
const SHORT_MS = 300;
const SHORT_LIMITS = {
  firstBytesMs: SHORT_MS,
  lookMs: SHORT_MS / 10,
  sessions: { prefaceMs: SHORT_MS, pingMs: SHORT_MS, pongMs: SHORT_MS },
  http1: { headersMs: SHORT_MS },
  watch: { arrivalTimeoutMs: SHORT_MS },
};
/** Less than the deadline of calls and the limit of idle connections, which would end them as well. */
const TEST_PATIENCE_MS = 25_000;

/** A connection that sends nothing, or almost nothing. */
interface Silence {
  readonly what: string;
  readonly protocol: "h2" | "http/1.1";
  readonly limit: keyof typeof LIMITS;
  readonly first: Buffer;
  /** Sent one byte at a time. */
  readonly drip: Buffer;
  /** Whether the call is answered and ends, instead of the connection. */
  readonly endsCall: boolean;
  /** Whether the service uses TLS, and whether the client does as well. */
  readonly tls: "neither" | "both" | "service";
}

const head = Buffer.from(
  `POST ${pathOf("Lookup")} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 29\r\n`,
);
const nothing = Buffer.alloc(0);
const headersOnly = Buffer.concat([head, Buffer.from("Connect-Timeout-Ms: 30000\r\n\r\n")]);
const withoutTimeout = Buffer.concat([head, Buffer.from("\r\n")]);
const call = Buffer.concat([OPENING, headers(1, callHeaders(pathOf("Lookup"), "localhost", "30S"))]);
const webType = "application/grpc-web+proto";
const webCall = Buffer.concat([OPENING, headers(1, callHeaders(pathOf("Lookup"), "localhost", "30S", webType))]);
/** The head of a TLS record that announces a ClientHello of 512 bytes, without these bytes. */
const halfHello = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);

const SILENCES = [
  silence("half the preface", "h2", "first bytes", { first: PREFACE.subarray(0, 12) }),
  silence("the preface, a byte at a time", "h2", "first bytes", { drip: PREFACE }),
  silence("the preface without settings", "h2", "preface", { first: PREFACE }),
  silence("no call", "h2", "ping", { first: OPENING }),
  silence("half the headers", "h2", "ping", { first: call.subarray(0, OPENING.byteLength + 40) }),
  silence("a gRPC call without a message", "h2", "request", { first: call, endsCall: true }),
  silence("a gRPC-Web call without a message", "h2", "request", { first: webCall, endsCall: true }),
  silence("nothing", "http/1.1", "first bytes", {}),
  silence("half the headers", "http/1.1", "head", { first: head }),
  silence("headers, a byte at a time", "http/1.1", "head", { first: head.subarray(0, 4), drip: head.subarray(4) }),
  silence("a request without its body", "http/1.1", "request", { first: headersOnly }),
  silence("a body, a byte at a time", "http/1.1", "request", { first: headersOnly, drip: Buffer.alloc(25) }),
];

/** All over TCP and over TLS, and silences that only TLS has. */
const ALL_SILENCES: readonly Silence[] = [
  ...SILENCES,
  ...SILENCES.map((each): Silence => Object.assign({}, each, { tls: "both" })),
  silence("no handshake", "h2", "first bytes", { tls: "service" }),
  silence("half a handshake", "h2", "handshake", { first: halfHello, tls: "service" }),
  silence("a request without its body or a timeout", "http/1.1", "deadline", { first: withoutTimeout, endsCall: true }),
];

function silence(what: string, protocol: Silence["protocol"], limit: Silence["limit"], more: Partial<Silence>) {
  return { what, protocol, limit, first: nothing, drip: nothing, endsCall: false, tls: "neither", ...more } as const;
}

/** The tests of the server and of exports have clients that do not read. */
export const rowOfSilences: Row = {
  number: "5",
  title: "silent, half and slow connections",
  test: "always",
  async *run(arena) {
    if (arena.isFull) {
      const [plain, { service, ca }] = [await arena.target(false), await arena.target(true)];
      const addresses = [plain.service.httpAddress, service.httpAddress, ca] as const;
      yield* await Promise.all(ALL_SILENCES.map((silence) => keepSilent(silence, addresses, DRIP_MS)));
      return;
    }
    await using stack = new AsyncDisposableStack();
    const disk = stack.use(await writeTls());
    const start = async (limits: ServerLimits) => {
      const plain = stack.use(await startTestApp({ limits }));
      const secured = stack.use(await startTestApp({ limits, env: disk.env }));
      return [plain.httpAddress, secured.httpAddress, disk.ca] as const;
    };
    const addresses = await start(SHORT_LIMITS);
    // A PING without an answer must not end the connection before its call is answered.
    const addressesOfCalls = await start({ ...SHORT_LIMITS, sessions: {} });
    // The time for a handshake cannot be shortened, and the limit of requests would end before the deadline.
    const silences = ALL_SILENCES.filter(({ limit }) => limit !== "handshake" && limit !== "deadline");
    yield* await Promise.all(
      silences.map((each) =>
        keepSilent(each, each.endsCall ? addressesOfCalls : addresses, SHORT_MS / 10, TEST_PATIENCE_MS),
      ),
    );
  },
};

/**
 * Opens the connection and waits for its end.
 *
 * @param addresses of the services without and with TLS, and the authority of the latter's certificate, as PEM
 * @param dripMs time between two bytes
 */
async function keepSilent(
  { what, protocol, limit, first, drip, endsCall, tls }: Silence,
  [plain, secured, ca = ""]: readonly [plain: string, secured: string, ca: string | undefined],
  dripMs: number,
  patienceMs = 2 * LIMITS[limit],
): Promise<Finding> {
  const address = tls === "neither" ? plain : secured;
  using connection = await RawConnection.open(address, undefined, tls === "both" ? { ca, protocol } : undefined);
  const answered = Promise.withResolvers<"answered">();
  const frames = new FrameReader((_type, isEnd, stream) => isEnd && stream === 1 && answered.resolve("answered"));
  connection.read((bytes) => (protocol === "h2" ? frames.push(bytes) : answered.resolve("answered")));
  await connection.send(first);
  let sent = 0;
  const timer = setInterval(() => {
    if (sent < drip.byteLength) {
      void connection.send(drip.subarray(sent, ++sent));
    }
  }, dripMs);
  const closed = connection.closed(patienceMs).then((ms) => (Number.isFinite(ms) ? "closed" : "open"));
  const end = await Promise.race(endsCall ? [answered.promise, closed] : [closed]);
  clearInterval(timer);
  const ms = performance.now() - connection.openedAt;
  return {
    what: `${what}, ${protocol}${tls === "neither" ? "" : ", TLS"}: ${end}`,
    figures: [
      none("not ended", end === (endsCall ? "answered" : "closed") ? 0 : 1),
      measured(`ms off the limit of ${LIMITS[limit]}`, Math.abs(ms - LIMITS[limit]), 0.2 * LIMITS[limit]),
    ],
  };
}
