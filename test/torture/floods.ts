import type { Listener, Scale } from "./finding.ts";
import {
  callHeaders,
  continuation,
  data,
  headers,
  indexed,
  literal,
  openHeaders,
  OPENING,
  ping,
  priority,
  remembered,
  settings,
} from "./http2-frames.ts";
import type { RawConnection } from "./raw-connection.ts";
import { LOOKUP } from "./requests.ts";

interface Flood {
  readonly what: string;
  /** Whether the connection is to be closed for it within a second. */
  readonly closes: boolean | undefined;
  readonly attack: (connection: RawConnection, scale: Scale) => Promise<void>;
}

const PIECE = 100;
const TIME_LIMIT_MS = 5000;
const MANY = 200_000;

/** Sends the pieces of so many turns, a hundred turns at a time, until the connection is closed or 5 s have passed. */
export async function send(
  connection: RawConnection,
  turns: number,
  piecesOf: (index: number) => readonly Uint8Array[],
  first: Uint8Array = Buffer.alloc(0),
): Promise<void> {
  const end = performance.now() + TIME_LIMIT_MS;
  let isOpen = await connection.send(first);
  for (let index = 0; isOpen && index < turns && performance.now() < end; index += PIECE) {
    const pieces = Array.from({ length: Math.min(PIECE, turns - index) }, (_, turn) => piecesOf(index + turn));
    isOpen = await connection.send(Buffer.concat(pieces.flat()), TIME_LIMIT_MS);
    // Lets the reading go on: who does not read is another attack.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** The same frame over and over, after an opening. */
function repeat(frame: Uint8Array, first: Uint8Array = OPENING): Flood["attack"] {
  return (connection, scale) => send(connection, scale === "full" ? MANY : MANY / 4, () => [frame], first);
}

/** Like `repeat`, by a client that reads no answers. */
function repeatUnread(frame: Uint8Array): Flood["attack"] {
  return (connection, scale) => {
    connection.socket.pause();
    return repeat(frame)(connection, scale);
  };
}

/** The header of 3,000 bytes named many times in each call, at one byte each. */
function hpackBombs(call: Buffer, repetitions: number): Flood {
  /** A header of 3,000 bytes that HPACK remembers. */
  const bomb = Buffer.concat([call, remembered("x-bomb", "b".repeat(3000))]);
  const block = Buffer.concat([call, ...Array.from({ length: repetitions }, () => indexed(62))]);
  return {
    what: `HPACK bombs of ${3 * repetitions} KB`,
    closes: true,
    attack: (connection, scale) =>
      send(
        connection,
        scale === "full" ? MANY : MANY / 4,
        (index) => [headers(2 * index + 3, block, true)],
        Buffer.concat([OPENING, headers(1, bomb, true)]),
      ),
  };
}

/** What is sent on one connection of HTTP/2 without end, after or among calls with these headers. */
function http2Floods(call: Buffer): readonly Flood[] {
  return [
    {
      what: "CONTINUATION",
      closes: true,
      attack: repeat(
        continuation(1, literal("x-more", "y".repeat(200))),
        Buffer.concat([OPENING, openHeaders(1, call)]),
      ),
    },
    {
      what: "empty CONTINUATION",
      closes: true,
      attack: repeat(continuation(1, Buffer.alloc(0)), Buffer.concat([OPENING, openHeaders(1, call)])),
    },
    { what: "PING", closes: true, attack: repeat(ping()) },
    { what: "PING, unread", closes: true, attack: repeatUnread(ping()) },
    { what: "SETTINGS", closes: true, attack: repeat(settings()) },
    { what: "SETTINGS, unread", closes: true, attack: repeatUnread(settings()) },
    {
      what: "empty DATA",
      closes: true,
      attack: repeat(data(1, Buffer.alloc(0), false), Buffer.concat([OPENING, headers(1, call)])),
    },
    // Many headers, and as many as an honest call may have.
    hpackBombs(call, 100),
    hpackBombs(call, 30),
    {
      what: "PRIORITY",
      closes: undefined,
      attack: (connection, scale) =>
        send(connection, scale === "full" ? MANY : MANY / 4, (index) => [priority(2 * index + 1)], OPENING),
    },
  ];
}

const HTTP1_FLOODS: readonly Flood[] = [
  {
    what: "headers without end",
    closes: true,
    attack: repeat(Buffer.from("x-more: yes\r\n"), Buffer.from(`POST ${LOOKUP} HTTP/1.1\r\nHost: a\r\n`)),
  },
  {
    what: "chunk extensions without end",
    closes: true,
    attack: repeat(
      Buffer.from(";x=y"),
      Buffer.from(
        `POST ${LOOKUP} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1`,
      ),
    ),
  },
];

/** Row 4: what is sent on one connection without end. */
export const FLOODS: Readonly<Record<Listener, readonly Flood[]>> = {
  gRPC: http2Floods(callHeaders(LOOKUP)),
  HTTP: HTTP1_FLOODS,
  "HTTP/2": http2Floods(callHeaders(LOOKUP, "localhost", "2S", "application/grpc-web+proto")),
};
