import type { Finding } from "./finding.ts";
import { counted } from "./finding.ts";
import { OPENING } from "../support/http2-frames.ts";
import type { Arena, Door, Row } from "./row.ts";
import { DOORS, openDoor } from "./row.ts";
import { inParallel, mutate, seeded } from "./seeded.ts";
import type { Harm } from "./target.ts";

/** None of them can be part of a URL. */
const AUTHORITIES = ["[", "]", "[::1", "a b", "a:b:c", "host:99999", "%", "\u0001\u007F\u00FF", "//?#@\\"];

/** A TLS handshake takes ten times as long as the rest of an attempt. */
const SECURED_SHARE = 0.1;
const AT_ONCE = 32;
/** The time within which the service must end a connection whose client sends nothing more. */
const END_LIMIT_MS = 60_000;

/** Attacks with malformed bytes. */
export const rowsOfBytes: readonly Row[] = [
  {
    number: "1",
    title: "unparsable :authority and Host",
    test: "always",
    async run(arena) {
      const random = seeded(1);
      return await sendEach(arena, arena.count(10_000, 100), {}, ({ lookup }) => {
        return (index) => lookup(Buffer.from(AUTHORITIES[index] ?? generate(random), "latin1"));
      });
    },
  },
  {
    number: "2",
    title: "byte-mutated valid requests",
    test: "always",
    async run(arena) {
      const random = seeded(2);
      return await sendEach(arena, arena.count(50_000, 300), { memoryMib: 50 }, ({ lookup, protocol }) => {
        const valid = lookup();
        // A broken preface shows little, so most attempts break later bytes.
        const from = protocol === "h2" ? OPENING.byteLength : 0;
        return (index) => mutate(valid, random, index % 10 === 0 ? 0 : from);
      });
    },
  },
];

/** Opens many connections through each door, and sends different bytes on each. */
async function sendEach(
  arena: Arena,
  count: number,
  harm: Harm,
  bytesFor: (door: Door) => (index: number) => Buffer,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const door of DOORS) {
    const target = await arena.target(door.isSecured);
    const bytesOf = bytesFor(door);
    const connections = Math.ceil(count * (door.isSecured ? SECURED_SHARE : 1));
    let ended = 0;
    const figures = await target.endure(async () => {
      await inParallel(connections, AT_ONCE, async (index) => {
        using connection = await openDoor(target, door, index);
        connection.read().socket.end(bytesOf(index));
        const closedAfter = await connection.closed(END_LIMIT_MS);
        ended += Number.isFinite(closedAfter) ? 1 : 0;
      });
    }, harm);
    findings.push({
      what: `${connections} connections, ${door.name}`,
      figures: [counted("ended", ended, { atLeast: connections }), ...figures],
    });
  }
  return findings;
}

/** Up to 40 bytes without line ends. */
function generate(random: () => number): string {
  const bytes = Array.from({ length: 1 + Math.floor(random() * 40) }, () => Math.floor(random() * 256));
  return String.fromCharCode(...bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d));
}
