import { gzipSync } from "node:zlib";
import { callHeaders, data, headers, OPENING } from "../support/http2-frames.ts";
import type { Finding } from "./finding.ts";
import { exactly } from "./finding.ts";
import type { PlainCall, Protocol } from "./plain-calls.ts";
import { bodyOf, callTogether, headersOf, isEnveloped, RESOURCE_EXHAUSTED } from "./plain-calls.ts";
import { BATCH_LOOKUP, batchMessageOf, CACHED_VIN, LOOKUP, lookupMessageOf } from "./requests.ts";
import type { Arena, Door, Row } from "./row.ts";
import { DOORS, openDoor } from "./row.ts";
import type { Target } from "./target.ts";

const HARM = { memoryMib: 30 };
/** How many requests of the maximum size to send at once: many of the small ones, few of the large ones. */
const AT_ONCE = { [LOOKUP]: 100, [BATCH_LOOKUP]: 20 };
const DRIPS = { [LOOKUP]: 20, [BATCH_LOOKUP]: 4 };
const ANSWER_LIMIT_MS = 60_000;

/** The first bytes of an envelope that claims 4 GiB. */
const CLAIM = Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), Buffer.from("\n\u00111XPW", "latin1")]);
const FOUR_GIB = String(2 ** 32);

const PROTOCOLS: Readonly<Record<string, readonly Protocol[]>> = {
  gRPC: ["gRPC"],
  "HTTP/1.1": ["gRPC-Web", "Connect"],
  "gRPC-Web over TLS": ["gRPC-Web", "Connect"],
};

export const rowsOfClaims: readonly Row[] = [
  {
    number: "4",
    title: "claims of 4 GiB, gzip bombs and one-byte DATA",
    test: "ci",
    async run(arena) {
      const findings: Finding[] = [];
      for (const door of DOORS) {
        const target = await arena.target(door.isSecured);
        for (const protocol of PROTOCOLS[door.name] ?? []) {
          for (const path of [LOOKUP, BATCH_LOOKUP] as const) {
            findings.push(...(await attack(arena, target, door, protocol, path)));
          }
        }
      }
      return findings;
    },
  },
];

async function attack(
  arena: Arena,
  target: Target,
  door: Door,
  protocol: Protocol,
  path: typeof LOOKUP | typeof BATCH_LOOKUP,
): Promise<Finding[]> {
  const count = arena.count(AT_ONCE[path], AT_ONCE[path] / 5);
  const refused = async (what: string, call: PlainCall): Promise<Finding> => {
    let statuses: number[] = [];
    const figures = await target.endure(async () => {
      statuses = await callTogether(target, door, count, call);
    }, HARM);
    const exhausted = statuses.filter((status) => status === RESOURCE_EXHAUSTED).length;
    return {
      what: `${count} ${what}, ${protocol}, ${nameOf(path)}, ${door.name}`,
      figures: [exactly("RESOURCE_EXHAUSTED", exhausted, count), ...figures],
    };
  };
  return [
    await refused("claims of 4 GiB", {
      protocol,
      path,
      body: CLAIM,
      isLeftOpen: true,
      headers: isEnveloped(protocol, path) ? {} : { "content-length": FOUR_GIB },
    }),
    await refused("gzip bombs", bombOf(protocol, path, 1)),
    await refused("gzip bombs of 8 members", bombOf(protocol, path, 8)),
    await drip(arena, target, door, protocol, path),
  ];
}

/** A request of the maximum size, which is a thousand times as large when decompressed. */
function bombOf(protocol: Protocol, path: string, members: number): PlainCall {
  const unpackedBytes = path === LOOKUP ? 3_800_000 : 250_000_000;
  const message = path === LOOKUP ? lookupMessageOf(8_000) : batchMessageOf(300_000);
  const padding = Buffer.alloc(Math.ceil(unpackedBytes / members));
  const [first, rest] = [gzipSync(Buffer.concat([message, padding])), gzipSync(padding)];
  const parts = [first, ...Array.from({ length: members - 1 }, () => rest)];
  return { protocol, path, isCompressed: true, body: bodyOf(protocol, path, Buffer.concat(parts), true) };
}

/** Valid messages in frames or chunks of one byte, all sent at once. */
async function drip(
  arena: Arena,
  target: Target,
  door: Door,
  protocol: Protocol,
  path: typeof LOOKUP | typeof BATCH_LOOKUP,
): Promise<Finding> {
  const count = arena.count(DRIPS[path], 2);
  // No more than the initial window of HTTP/2.
  const message = path === LOOKUP ? lookupMessageOf(3_995) : batchMessageOf(59_995);
  const call: PlainCall = { protocol, path, body: bodyOf(protocol, path, message) };
  const bytes = door.protocol === "h2" ? framed(call) : chunked(call);
  let answered = 0;
  const figures = await target.endure(async () => {
    await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        using connection = await openDoor(target, door, index);
        const isAnswered = new Promise<boolean>((resolve) => {
          connection.read(() => {
            if (connection.received.includes(CACHED_VIN)) {
              resolve(true);
            }
          });
          void connection.closed(ANSWER_LIMIT_MS).then(() => resolve(false));
        });
        await connection.send(bytes, ANSWER_LIMIT_MS);
        const isGood = await isAnswered;
        answered += isGood ? 1 : 0;
      }),
    );
  }, HARM);
  return {
    what: `${count} times ${message.byteLength} bytes one by one, ${protocol}, ${nameOf(path)}, ${door.name}`,
    figures: [exactly("answered", answered, count), ...figures],
  };
}

function framed(call: PlainCall): Buffer {
  const last = call.body.byteLength - 1;
  const frames = Array.from(call.body, (byte, index) => data(1, Buffer.from([byte]), index === last));
  const head = callHeaders(call.path, "localhost", "30S", headersOf(call)["content-type"]);
  return Buffer.concat([OPENING, headers(1, head), ...frames]);
}

function chunked(call: PlainCall): Buffer {
  const chunks = Array.from(call.body, (byte) => Buffer.from([0x31, 0x0d, 0x0a, byte, 0x0d, 0x0a]));
  const head =
    `POST ${call.path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n` +
    `Content-Type: ${headersOf(call)["content-type"]}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), ...chunks, Buffer.from("0\r\n\r\n")]);
}

function nameOf(path: string): string {
  return path.split("/")[2] ?? path;
}
