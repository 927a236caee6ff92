import { setImmediate } from "node:timers/promises";
import * as h2 from "../support/http2-frames.ts";
import type { RawConnection } from "../support/raw-connection.ts";
import type { Finding } from "./finding.ts";
import { none } from "./finding.ts";
import type { Arena, Row } from "./row.ts";
import type { Target } from "./target.ts";
import type { Way } from "./ways.ts";
import { bodyOf, CACHED_VIN, contentTypeOf, nameOf, pathOf, WAYS } from "./ways.ts";

/** A flood of frames on one connection, as fast as it can be sent. */
interface Flood {
  readonly what: string;
  /** The number of turns with full force. */
  readonly turns: number;
  /** The frames of a turn. Each turn has the next id that a client's stream may have. */
  readonly framesOf: (stream: number) => readonly Buffer[];
  /** Sent once, at the beginning. Default: the opening of a connection. */
  readonly first?: Buffer;
  /** Whether the service must close the connection. It may close any connection. */
  readonly isFatal?: true;
  /** Whether the client does not read answers. */
  readonly isUnread?: true;
}

const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const MANY = 200_000;
/** The turns in a test: enough to exceed every limit that closes connections. */
const TEST_TURNS = 2_500;
const TURNS_AT_ONCE = 100;
const SEND_LIMIT_MS = 10_000;
const CLOSE_LIMIT_MS = 60_000;
const NOTHING = Buffer.alloc(0);

export const rowOfFloods: Row = {
  number: "3",
  title: "floods of frames, headers, streams and requests",
  test: "ci",
  async *run(arena) {
    for (const way of WAYS.filter(({ protocol, http }) => protocol !== "Connect" && http === "2")) {
      const target = await arena.target(way.isSecured);
      for (const each of floodsOf(way)) {
        yield await endureFlood(arena, target, way, each);
      }
    }
  },
};

function floodsOf(way: Way): readonly Flood[] {
  const type = contentTypeOf(way, "Lookup");
  const call = h2.callHeaders(pathOf("Lookup"), "localhost", "10S", type);
  const reflection = h2.callHeaders(REFLECTION, "localhost", "10S", type);
  const message = (id: number): Buffer => h2.data(id, bodyOf(way, "Lookup", CACHED_VIN.length), true);
  const wholeCall = (id: number): Buffer[] => [h2.headers(id, call), message(id)];
  const opened = opening(h2.openHeaders(1, call));
  const padding = h2.h2Frame(h2.FrameType.data, 0x8, 1, Buffer.from([255, ...Buffer.alloc(255)]));
  // Later headers refer to this one of 3,000 bytes many times, with one byte each.
  const bomb = opening(h2.headers(1, Buffer.concat([call, h2.remembered("x-bomb", "b".repeat(3_000))]), true));
  const largeCall = Buffer.concat([call, Buffer.alloc(100, h2.indexed(62))]);
  const mediumCall = Buffer.concat([call, Buffer.alloc(30, h2.indexed(62))]);
  const largeTrailers = Buffer.alloc(90, h2.indexed(62));
  const tinyMessages = Buffer.alloc(20 * 5, h2.grpcMessage(NOTHING));
  const streams = Array.from({ length: 64 }, (_, index) => h2.headers(2 * index + 1, reflection));
  return [
    flood("rapid reset", 5_000, (id) => [h2.headers(id, call), h2.resetStream(id)], { isFatal: true }),
    flood("calls made to fail", 5_000, (id) => [h2.headers(id, call), h2.windowUpdate(id, 0)], { isFatal: true }),
    flood("streams without end", 20_000, (id) => [h2.headers(id, call)]),
    flood("whole calls", 20_000, wholeCall),
    flood("whole calls, unread", 20_000, wholeCall, { isUnread: true }),
    flood("whole calls, window 0", 20_000, wholeCall, { first: Buffer.concat([h2.PREFACE, h2.settings({ 4: 0 })]) }),
    flood("calls that go on after their end", 5_000, (id) => [...wholeCall(id), message(id)]),
    flood("CONTINUATION", MANY, () => [h2.continuation(1, h2.literal("x-more", "y".repeat(200)))], {
      first: opened,
      isFatal: true,
    }),
    flood("empty CONTINUATION", MANY, () => [h2.continuation(1, NOTHING)], { first: opened, isFatal: true }),
    flood("PING", MANY, () => [h2.ping()]),
    flood("PING, unread", MANY, () => [h2.ping()], { isUnread: true }),
    flood("SETTINGS", MANY, () => [h2.settings()]),
    flood("SETTINGS, unread", MANY, () => [h2.settings()], { isUnread: true }),
    flood("empty DATA", MANY, () => [h2.data(1, NOTHING, false)], {
      first: opening(h2.headers(1, call)),
      isFatal: true,
    }),
    flood("DATA of nothing but padding", MANY, () => [padding], { first: opening(h2.headers(1, call)) }),
    flood("HPACK bombs of 300 KB", MANY / 4, (id) => [h2.headers(id + 2, largeCall, true)], { first: bomb }),
    flood("HPACK bombs of 90 KB", MANY / 4, (id) => [h2.headers(id + 2, mediumCall, true)], { first: bomb }),
    flood(
      "HPACK bombs in trailers",
      MANY / 4,
      (id) => [h2.headers(id + 2, call), h2.headers(id + 2, largeTrailers, true)],
      { first: bomb },
    ),
    flood("PRIORITY", MANY, (id) => [h2.priority(id)]),
    flood("tiny messages on 64 streams", 20_000, (id) => [h2.data(id % 128, tinyMessages, false)], {
      first: opening(h2.windowUpdate(0, 2 ** 30), ...streams),
    }),
  ];
}

function flood(what: string, turns: number, framesOf: Flood["framesOf"], more: Partial<Flood> = {}): Flood {
  return { what, turns, framesOf, ...more };
}

function opening(...frames: readonly Buffer[]): Buffer {
  return Buffer.concat([h2.OPENING, ...frames]);
}

async function endureFlood(arena: Arena, target: Target, way: Way, attack: Flood): Promise<Finding> {
  const turns = arena.isFull ? attack.turns : TEST_TURNS;
  let open = 0;
  const figures = await target.endure(
    async () => {
      using connection = await target.open(way);
      if (attack.isUnread !== true) {
        connection.read();
      }
      await send(connection, turns, attack);
      if (attack.isFatal === true) {
        const closedAfter = await connection.closed(CLOSE_LIMIT_MS);
        open = Number.isFinite(closedAfter) ? 0 : 1;
      }
    },
    arena.isFull ? { probeMs: 500, memoryAfterMib: 30 } : {},
  );
  return {
    what: `${turns} times ${attack.what}, ${nameOf(way)}`,
    figures: [none("open although it must close", open), ...figures],
  };
}

/** Sends a hundred turns at a time, until the connection is closed or takes no more. */
async function send(connection: RawConnection, turns: number, { first, framesOf }: Flood): Promise<void> {
  const end = performance.now() + SEND_LIMIT_MS;
  let isOpen = await connection.send(first ?? h2.OPENING);
  for (let turn = 0; isOpen && turn < turns && performance.now() < end; turn += TURNS_AT_ONCE) {
    const count = Math.min(TURNS_AT_ONCE, turns - turn);
    const frames = Array.from({ length: count }, (_, index) => framesOf(2 * (turn + index) + 1)).flat();
    isOpen = await connection.send(Buffer.concat(frames), SEND_LIMIT_MS / 10);
    // Continues to read, because a client that does not read is another attack.
    await setImmediate();
  }
}
