import { connect as connectTls } from "node:tls";
import {
  callHeaders,
  continuation,
  data,
  FrameType,
  grpcMessage,
  h2Frame,
  headers,
  indexed,
  literal,
  openHeaders,
  OPENING,
  ping,
  PREFACE,
  priority,
  remembered,
  resetStream,
  settings,
  windowUpdate,
} from "../support/http2-frames.ts";
import type { RawConnection } from "../support/raw-connection.ts";
import type { Figure, Finding } from "./finding.ts";
import { exactly } from "./finding.ts";
import { GET_HEALTHZ, httpLookup, LOOKUP, LOOKUP_MESSAGE, REFLECTION } from "./requests.ts";
import type { Arena, Door, Row } from "./row.ts";
import { DOORS, openDoor } from "./row.ts";
import type { Target } from "./target.ts";

/** A flood of frames on one connection, as fast as it can be sent. */
interface Flood {
  readonly what: string;
  /** The number of turns with full force. */
  readonly turns: number;
  /** Sent once, at the beginning. */
  readonly first?: Uint8Array;
  readonly piecesOf: (turn: number) => readonly Uint8Array[];
  /** Whether the service must close the connection. It may close any connection. */
  readonly isFatal?: true;
  /** Whether the client does not read answers. */
  readonly isUnread?: true;
}

const MANY = 200_000;
/** The turns in a test: enough to exceed every limit that closes connections. */
const TEST_TURNS = 2_500;
const TURNS_AT_ONCE = 100;
const SEND_LIMIT_MS = 10_000;
const CLOSE_LIMIT_MS = 60_000;
const WHOLE_WINDOW = 2 ** 31 - 1;
const NOTHING = Buffer.alloc(0);

export const rowsOfFloods: readonly Row[] = [
  {
    number: "3",
    title: "floods of frames, headers, streams and requests",
    test: "ci",
    async run(arena) {
      const findings: Finding[] = [];
      for (const door of DOORS) {
        const target = await arena.target(door.isSecured);
        for (const flood of door.protocol === "h2" ? http2Floods(door) : HTTP1_FLOODS) {
          findings.push(await endureFlood(arena, target, door, flood));
        }
      }
      return [...findings, await sendAmbiguous(arena), await renegotiate(arena)];
    },
  },
];

/** @param door speaks HTTP/2 */
function http2Floods({ isSecured }: Door): readonly Flood[] {
  const type = isSecured ? "application/grpc-web+proto" : "application/grpc";
  const call = callHeaders(LOOKUP, "localhost", "10S", type);
  const stream = callHeaders(REFLECTION, "localhost", "10S", type);
  const begun = Buffer.concat([OPENING, headers(1, call)]);
  const message = grpcMessage(LOOKUP_MESSAGE);
  const repeat = (what: string, frame: Uint8Array, more: Partial<Flood> = {}): Flood => {
    return { what, turns: MANY, piecesOf: () => [frame], ...more };
  };
  const each = (what: string, turns: number, piecesOf: (stream: number) => readonly Uint8Array[]): Flood => {
    return { what, turns, piecesOf: (turn) => piecesOf(2 * turn + 1) };
  };
  return [
    { ...each("rapid reset", 5_000, (id) => [headers(id, call), resetStream(id)]), isFatal: true },
    { ...each("calls made to fail", 5_000, (id) => [headers(id, call), windowUpdate(id, 0)]), isFatal: true },
    each("streams without end", 20_000, (id) => [headers(id, call)]),
    each("whole calls", 20_000, (id) => [headers(id, call), data(id, message, true)]),
    { ...each("whole calls, unread", 20_000, (id) => [headers(id, call), data(id, message, true)]), isUnread: true },
    {
      ...each("whole calls, window 0", 20_000, (id) => [headers(id, call), data(id, message, true)]),
      first: Buffer.concat([PREFACE, settings({ 4: 0 })]),
    },
    each("calls that go on after their end", 5_000, (id) => [
      headers(id, call),
      data(id, message, true),
      data(id, message, true),
    ]),
    repeat("CONTINUATION", continuation(1, literal("x-more", "y".repeat(200))), {
      first: Buffer.concat([OPENING, openHeaders(1, call)]),
      isFatal: true,
    }),
    repeat("empty CONTINUATION", continuation(1, NOTHING), {
      first: Buffer.concat([OPENING, openHeaders(1, call)]),
      isFatal: true,
    }),
    repeat("PING", ping()),
    repeat("PING, unread", ping(), { isUnread: true }),
    repeat("SETTINGS", settings()),
    repeat("SETTINGS, unread", settings(), { isUnread: true }),
    repeat("SETTINGS of another table size", settings({ 1: 0 })),
    repeat("empty DATA", data(1, NOTHING, false), { first: begun, isFatal: true }),
    repeat("DATA of nothing but padding", h2Frame(FrameType.data, 0x8, 1, Buffer.from([255, ...Buffer.alloc(255)])), {
      first: begun,
    }),
    hpackBombs("HPACK bombs of 300 KB", call, 100),
    hpackBombs("HPACK bombs of 90 KB", call, 30),
    {
      ...each("HPACK bombs in trailers", MANY / 4, (id) => [
        headers(id + 2, call),
        headers(id + 2, repeated(indexed(62), 90), true),
      ]),
      first: Buffer.concat([OPENING, headers(1, Buffer.concat([call, remembered("x-bomb", "b".repeat(3_000))]))]),
    },
    each("PRIORITY", MANY, (id) => [priority(id)]),
    repeat("unknown frames", h2Frame(0xfa, 0, 0, Buffer.alloc(8))),
    repeat("GOAWAY", h2Frame(FrameType.goAway, 0, 0, Buffer.alloc(8))),
    repeat("window of the connection beyond its end", windowUpdate(0, WHOLE_WINDOW), { isFatal: true }),
    repeat("window of a stream beyond its end", windowUpdate(1, WHOLE_WINDOW), { first: begun }),
    repeat("PUSH_PROMISE", h2Frame(0x5, 0x4, 1, Buffer.alloc(4)), { first: begun, isFatal: true }),
    {
      what: "tiny messages on 64 streams",
      turns: 20_000,
      first: Buffer.concat([
        OPENING,
        windowUpdate(0, 2 ** 30),
        ...Array.from({ length: 64 }, (_, index) => headers(2 * index + 1, stream)),
      ]),
      piecesOf: (turn) => [data(2 * (turn % 64) + 1, repeated(grpcMessage(NOTHING), 20), false)],
    },
  ];
}

const head = `POST ${LOOKUP} HTTP/1.1\r\nHost: localhost\r\n`;
const chunkedHead = `${head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
const keptLookup = Buffer.from(httpLookup().toString("latin1").replace("Connection: close\r\n", ""), "latin1");
const watch =
  "POST /grpc.health.v1.Health/Watch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\n" +
  "Content-Length: 5\r\n\r\n\0\0\0\0\0";

const HTTP1_FLOODS: readonly Flood[] = [
  {
    what: "headers without end",
    turns: MANY,
    first: Buffer.from(head),
    piecesOf: () => [Buffer.from("x-more: yes\r\n")],
    isFatal: true,
  },
  {
    what: "chunk extensions without end",
    turns: MANY,
    first: Buffer.from(`${chunkedHead}1`),
    piecesOf: () => [Buffer.from(";x=y".repeat(10))],
    isFatal: true,
  },
  { what: "whole calls", turns: 20_000, piecesOf: () => [keptLookup] },
  { what: "whole calls, unread", turns: 20_000, piecesOf: () => [keptLookup], isUnread: true },
  { what: "small requests", turns: MANY, piecesOf: () => [GET_HEALTHZ] },
  { what: "small requests, unread", turns: MANY, piecesOf: () => [GET_HEALTHZ], isUnread: true },
  {
    what: "small requests behind one that never ends",
    turns: MANY,
    first: Buffer.from(watch, "latin1"),
    piecesOf: () => [GET_HEALTHZ],
  },
];

async function endureFlood(arena: Arena, target: Target, door: Door, flood: Flood): Promise<Finding> {
  const turns = arena.count(flood.turns, TEST_TURNS);
  const closed: Figure[] = [];
  const figures = await target.endure(
    async () => {
      using connection = await openDoor(target, door);
      if (flood.isUnread !== true) {
        connection.read();
      }
      await send(connection, turns, flood);
      if (flood.isFatal === true) {
        connection.read();
        closed.push(exactly("open", Number.isFinite(await connection.closed(CLOSE_LIMIT_MS)) ? 0 : 1, 0));
      }
    },
    arena.isFull ? { probeMs: 500, memoryAfterMib: 30 } : {},
  );
  return { what: `${turns} times ${flood.what}, ${door.name}`, figures: [...closed, ...figures] };
}

/** Sends a hundred turns at a time, until the connection is closed or takes no more. */
async function send(connection: RawConnection, turns: number, { first = OPENING, piecesOf }: Flood): Promise<void> {
  const end = performance.now() + SEND_LIMIT_MS;
  let isOpen = await connection.send(first);
  for (let turn = 0; isOpen && turn < turns && performance.now() < end; turn += TURNS_AT_ONCE) {
    const count = Math.min(TURNS_AT_ONCE, turns - turn);
    const pieces = Array.from({ length: count }, (_, index) => piecesOf(turn + index)).flat();
    isOpen = await connection.send(Buffer.concat(pieces), SEND_LIMIT_MS / 10);
    // Continues to read, because a client that does not read is another attack.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** A header of 3,000 bytes that each call refers to many times, with one byte each. */
function hpackBombs(what: string, call: Buffer, repetitions: number): Flood {
  const block = Buffer.concat([call, repeated(indexed(62), repetitions)]);
  return {
    what,
    turns: MANY / 4,
    first: Buffer.concat([OPENING, headers(1, Buffer.concat([call, remembered("x-bomb", "b".repeat(3_000))]), true)]),
    piecesOf: (turn) => [headers(2 * turn + 3, block, true)],
  };
}

/** Requests that two servers may parse differently. Each is followed by one that must not be answered. */
const AMBIGUOUS: readonly string[] = [
  `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${head}Content-Length: 0\r\nContent-Length: 50\r\n\r\n`,
  `${head}Content-Length: 0, 50\r\n\r\n`,
  `${head}Content-Length: +5\r\n\r\nabcde`,
  `${head}Content-Length: 0x5\r\n\r\nabcde`,
  `${head}Content-Length: -1\r\n\r\n`,
  `${head}Content-Length: 99999999999999999999\r\n\r\n`,
  `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  `${head}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  `${head}Transfer-Encoding:\u000Bchunked\r\n\r\n0\r\n\r\n`,
  `${head} folded: yes\r\n\r\n`,
  `${head}X: a\0b\r\n\r\n`,
  `${head}X: a\rb\r\n\r\n`,
  `${chunkedHead}ffffffffffffffffff\r\n`,
  `${chunkedHead}5;\r\nabcde\n0\r\n\r\n`,
  `${chunkedHead}-1\r\n\r\n`,
  `POST ${LOOKUP} HTTP/1.1\nHost: a\n\n`,
  `POST ${LOOKUP} HTTP/9.9\r\nHost: localhost\r\n\r\n`,
  `POST ${LOOKUP}\0 HTTP/1.1\r\nHost: localhost\r\n\r\n`,
  "CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

async function sendAmbiguous(arena: Arena): Promise<Finding> {
  const target = await arena.target(false);
  let [open, answered] = [0, 0];
  const figures = await target.endure(async () => {
    for (const text of AMBIGUOUS) {
      using connection = await target.open("http", "http/1.1");
      await connection.read().send(Buffer.concat([Buffer.from(text, "latin1"), GET_HEALTHZ]));
      const closedAfter = await connection.closed(CLOSE_LIMIT_MS);
      open += Number.isFinite(closedAfter) ? 0 : 1;
      answered += connection.received.includes("HTTP/1.1 200") ? 1 : 0;
    }
  });
  return {
    what: `${AMBIGUOUS.length} ambiguous requests, HTTP/1.1`,
    figures: [exactly("open", open, 0), exactly("answered requests behind them", answered, 0), ...figures],
  };
}

/** Clients may ask for new keys during a connection, which is costly. Node closes connections that do it too often. */
async function renegotiate(arena: Arena): Promise<Finding> {
  const target = await arena.target(true);
  let closed = 0;
  const figures = await target.endure(async () => {
    const [host, port] = target.service.httpAddress.split(":");
    const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, maxVersion: "TLSv1.2" });
    // A reset closes it as well, and `once` would throw that.
    const isClosed = new Promise((resolve) => {
      socket.once("close", resolve);
    });
    const again = (): void => void socket.setMaxListeners(0).renegotiate({ rejectUnauthorized: false }, again);
    socket.on("error", () => {});
    socket.on("secureConnect", again);
    await isClosed;
    closed++;
  });
  return { what: "renegotiation without end, TLS 1.2", figures: [exactly("closed", closed, 1), ...figures] };
}

function repeated(bytes: Uint8Array, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}
