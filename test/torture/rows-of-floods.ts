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
import { LOOKUP, LOOKUP_MESSAGE, REFLECTION } from "./requests.ts";
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
const NOTHING = Buffer.alloc(0);

export const rowsOfFloods: readonly Row[] = [
  {
    number: "3",
    title: "floods of frames, headers, streams and requests",
    test: "ci",
    async run(arena) {
      const findings: Finding[] = [];
      for (const door of DOORS.filter(({ protocol }) => protocol === "h2")) {
        const target = await arena.target(door.isSecured);
        for (const flood of floodsOf(door)) {
          findings.push(await endureFlood(arena, target, door, flood));
        }
      }
      return findings;
    },
  },
];

function floodsOf({ isSecured }: Door): readonly Flood[] {
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

function repeated(bytes: Uint8Array, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}
