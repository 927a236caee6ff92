import { gzipSync } from "node:zlib";
import { clientOver } from "../support/clients.ts";
import { answerOf, Http2Client } from "../support/http2-client.ts";
import { RawClient } from "../support/raw-client.ts";
import type { Finding } from "./finding.ts";
import { atLeast } from "./finding.ts";
import type { Arena, Row } from "./row.ts";
import type { Method, Way } from "./ways.ts";
import {
  callBytes,
  CACHED_VIN,
  contentTypeOf,
  hasEnvelope,
  messageOf,
  nameOf,
  outcomeOf,
  pathOf,
  WAYS,
} from "./ways.ts";

/** The first bytes of an envelope that claims 4 GiB. */
const CLAIM = Buffer.from("\u0000\u00FF\u00FF\u00FF\u00FF\n\u00111XPW", "latin1");
const EXHAUSTED = /grpc-status\W+8\b|resource_exhausted|ResourceExhausted/;

/**
 * How many claims and bombs to send at once, and how many messages in pieces of one byte. With a VIN of `fittingBytes`, a
 * message fits into the limit of its method and into the initial window of HTTP/2. With one of `exceedingBytes`, it fits
 * only when it is compressed.
 */
const ATTACKS = [
  { method: "Lookup", atOnce: 100, drips: 20, fittingBytes: 3_990, exceedingBytes: 3_800_000 },
  { method: "BatchLookup", atOnce: 20, drips: 4, fittingBytes: 59_990, exceedingBytes: 250_000_000 },
] as const;

export const rowOfClaims: Row = {
  number: "4",
  title: "claims of 4 GiB, gzip bombs and one-byte DATA",
  test: "ci",
  async *run(arena) {
    for (const attack of ATTACKS) {
      const bombs = [1, 8].map((members) => bombOf(messageOf(attack.exceedingBytes), members));
      for (const way of WAYS) {
        yield* attackBy(way, attack, bombs, arena);
      }
    }
  },
};

async function* attackBy(
  way: Way,
  { method, atOnce, drips, fittingBytes }: (typeof ATTACKS)[number],
  bombs: readonly Buffer[],
  arena: Arena,
): AsyncGenerator<Finding> {
  const target = await arena.target(way.isSecured);
  const { httpAddress: address } = target.service;
  const port = Number(address.split(":")[1]);
  const count = arena.isFull ? atOnce : atOnce / 5;

  /** @param attempt returns the answer as text, or the name of its code */
  async function endure(
    times: number,
    what: string,
    expected: RegExp,
    attempt: () => Promise<string>,
  ): Promise<Finding> {
    let good = 0;
    const figures = await target.endure(
      async () => {
        const answers = await Promise.all(Array.from({ length: times }, attempt));
        good = answers.filter((answer) => expected.test(answer)).length;
      },
      { memoryMib: 30 },
    );
    const name = `${times} ${what}, ${nameOf(way)}, ${method}`;
    return { what: name, figures: [atLeast("answered as expected", good, times), ...figures] };
  }

  using session = new Http2Client(address, target.ca);
  yield await endure(count, "claims of 4 GiB", EXHAUSTED, () =>
    way.http === "2" ? claimOverHttp2(session, way, method) : claimOverHttp1(port, way, method),
  );
  for (const bomb of bombs) {
    const client = clientOver(way, { address, ca: target.ca, compress: () => bomb });
    yield await endure(count, `gzip bombs of ${bomb.byteLength} bytes`, EXHAUSTED, () =>
      outcomeOf(client, method, CACHED_VIN),
    );
  }
  const pieces = callBytes(way, method, { vinBytes: fittingBytes, inPieces: true });
  const answered = new RegExp(CACHED_VIN);
  yield await endure(arena.isFull ? drips : 2, `messages of ${fittingBytes} bytes, one by one`, answered, async () => {
    using client = await RawClient.open(port, { ca: target.ca, protocols: ["h2"] });
    await client.push(pieces);
    return await client.until(answered);
  });
}

/** A request of the maximum size, which is a thousand times as large when decompressed. */
function bombOf(message: Uint8Array, members: number): Buffer {
  const bytes = Math.ceil(message.byteLength / members);
  const parts = Array.from({ length: members }, (_, part) => message.subarray(part * bytes, (part + 1) * bytes));
  return Buffer.concat(parts.map((part) => gzipSync(part)));
}

/** Returns the answer as text, headers and trailers included. */
async function claimOverHttp2(session: Http2Client, way: Way, method: Method): Promise<string> {
  const stream = session.open({ ":method": "POST", ":path": pathOf(method), ...claimingHeaders(way, method) });
  // A client that is answered before its request has ended need not send the rest.
  stream.on("end", () => stream.close());
  stream.write(CLAIM);
  const { headers, trailers, body } = await answerOf(stream);
  return `${JSON.stringify([headers, trailers])}${body.toString()}`;
}

async function claimOverHttp1(port: number, way: Way, method: Method): Promise<string> {
  const lines = Object.entries(claimingHeaders(way, method)).map(([name, value]) => `${name}: ${value}\r\n`);
  using client = await RawClient.open(port);
  client.send(`POST ${pathOf(method)} HTTP/1.1\r\nHost: localhost\r\n${lines.join("")}\r\n`).send(CLAIM);
  return await client.until(EXHAUSTED);
}

/** Where no envelope claims 4 GiB, the length of the body does. */
function claimingHeaders(way: Way, method: Method): Record<string, string> {
  const length = hasEnvelope(way, method) ? "1000" : String(2 ** 32);
  return { "content-type": contentTypeOf(way, method), "content-length": length };
}
