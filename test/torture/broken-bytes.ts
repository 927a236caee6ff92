import { OPENING } from "../support/http2-frames.ts";
import { seeded } from "../support/seeded.ts";
import type { Finding } from "./finding.ts";
import { atLeast } from "./finding.ts";
import type { Arena, Row } from "./row.ts";
import type { Way } from "./ways.ts";
import { callBytes, nameOf, WAYS } from "./ways.ts";

/** None of them can be part of a URL. */
const AUTHORITIES = ["[", "]", "[::1", "a b", "a:b:c", "host:99999", "%", "\u0001\u007F\u00FF", "//?#@\\"];

/** A TLS handshake takes ten times as long as the rest of an attempt. */
const SECURED_SHARE = 0.1;
const AT_ONCE = 32;
/** The time within which the service must end a connection whose client sends nothing more. */
const END_LIMIT_MS = 60_000;

/** Attacks with malformed bytes. */
export const rowsOfBrokenBytes: readonly Row[] = [
  {
    number: "1",
    title: "unparsable :authority and Host",
    test: "always",
    run(arena) {
      const random = seeded(1);
      return sendEach(arena, arena.isFull ? 10_000 : 60, Infinity, (way, index) =>
        callBytes(way, "Lookup", { host: AUTHORITIES[index] ?? generate(random) }),
      );
    },
  },
  {
    number: "2",
    title: "byte-mutated valid requests",
    test: "always",
    run(arena) {
      const random = seeded(2);
      return sendEach(arena, arena.isFull ? 50_000 : 180, 50, (way, index) => {
        // A broken preface shows little, so most attempts break later bytes.
        const from = way.http === "2" && index % 10 !== 0 ? OPENING.byteLength : 0;
        return mutate(callBytes(way, "Lookup"), random, from);
      });
    },
  },
];

/** Opens many connections in each way, and sends different bytes on each. */
async function* sendEach(
  arena: Arena,
  count: number,
  memoryMib: number,
  bytesOf: (way: Way, index: number) => Buffer,
): AsyncGenerator<Finding> {
  for (const way of WAYS) {
    const target = await arena.target(way.isSecured);
    const connections = Math.ceil(count * (way.isSecured ? SECURED_SHARE : 1));
    let ended = 0;
    const indexes = Array.from({ length: connections }).keys();
    const attacker = async (): Promise<void> => {
      // All attackers take their indexes from the same iterator.
      for (const index of indexes) {
        using connection = await target.open(way, index);
        connection.read().socket.end(bytesOf(way, index));
        const endedAfter = await connection.closed(END_LIMIT_MS);
        ended += Number.isFinite(endedAfter) ? 1 : 0;
      }
    };
    const figures = await target.endure(() => Promise.all(Array.from({ length: AT_ONCE }, attacker)), { memoryMib });
    yield {
      what: `${connections} connections, ${nameOf(way)}`,
      figures: [atLeast("ended", ended, connections), ...figures],
    };
  }
}

/** Up to 40 bytes without line ends. */
function generate(random: () => number): string {
  const bytes = Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 256));
  return String.fromCharCode(...bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d));
}

/** A copy of the bytes with one to six changes at or after the given position. */
function mutate(bytes: Buffer, random: () => number, from: number): Buffer {
  const mutated = Buffer.from(bytes);
  const changes = 1 + Math.floor(random() * 6);
  for (let change = 0; change < changes; change++) {
    const at = from + Math.floor(random() * (bytes.byteLength - from));
    mutated[at] = Math.floor(random() * 256);
  }
  return mutated;
}
