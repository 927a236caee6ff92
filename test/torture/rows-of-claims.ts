import { connect } from "node:http2";
import { gzipSync } from "node:zlib";

import type { Figure, Finding, Listener, Row, Scale } from "./finding.ts";
import { callHeaders, data, FrameReader, headers, OPENING } from "./http2-frames.ts";
import type { PlainCall, Protocol } from "./plain-calls.ts";
import { bodyOf, callHttp1, callHttp2, headersOf, isEnveloped, RESOURCE_EXHAUSTED } from "./plain-calls.ts";
import { BATCH_LOOKUP, batchMessageOf, LOOKUP, lookupMessageOf } from "./requests.ts";
import { CACHED_VIN, Target } from "./target.ts";

const HARM = { memoryMib: 30, probeMs: 150 };
const CLAIMS = 100;
/** How many at once of what is as large as a request may be: of the small ones many, of the large ones few. */
const BOMBS = { [LOOKUP]: 100, [BATCH_LOOKUP]: 20 };
const DRIPS = { [LOOKUP]: 20, [BATCH_LOOKUP]: 1 };
const ANSWER_LIMIT_MS = 10_000;

type End = "answered" | "refused" | "neither";

/** An envelope of 4 GiB, and its first bytes. */
const CLAIM = Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), Buffer.from("\n\u00111XPW", "latin1")]);
const FOUR_GIB = String(2 ** 32);

const PROTOCOLS: Readonly<Record<Listener, readonly Protocol[]>> = {
  gRPC: ["gRPC"],
  HTTP: ["gRPC-Web", "Connect"],
  "HTTP/2": ["gRPC-Web", "Connect"],
};

/** Row 6: messages that are more than they seem, or seem more than they are. */
export const rowsOfClaims: readonly Row[] = [
  {
    number: 6,
    title: "claims of 4 GiB, gzip bombs, and messages byte by byte",
    async run(scale) {
      await using plain = await Target.start();
      await using secured = await Target.startSecured();
      return [
        ...(await attack(plain, "gRPC", scale)),
        ...(await attack(plain, "HTTP", scale)),
        ...(await attack(secured, "HTTP/2", scale)),
      ];
    },
  },
];

async function attack(target: Target, listener: Listener, scale: Scale): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const protocol of PROTOCOLS[listener]) {
    for (const path of scale === "full" ? ([LOOKUP, BATCH_LOOKUP] as const) : ([LOOKUP] as const)) {
      findings.push(
        await refuse(target, listener, CLAIMS, "claims of 4 GiB", claimOf(protocol, path)),
        await refuse(target, listener, BOMBS[path], "gzip bombs", bombOf(protocol, path, 1)),
        await refuse(target, listener, BOMBS[path], "gzip bombs of 8 members", bombOf(protocol, path, 8)),
        await drip(target, listener, DRIPS[path], protocol, path),
      );
    }
  }
  return findings;
}

function claimOf(protocol: Protocol, path: string): PlainCall {
  const headersOfClaim = isEnveloped(protocol, path) ? {} : { "content-length": FOUR_GIB };
  return { protocol, path, body: CLAIM, isLeftOpen: true, headers: headersOfClaim };
}

/** As large as may be sent, and a thousand times as large unpacked. */
function bombOf(protocol: Protocol, path: string, members: number): PlainCall {
  const unpackedBytes = path === LOOKUP ? 3_800_000 : 250_000_000;
  const message = path === LOOKUP ? lookupMessageOf(8000) : batchMessageOf(300_000);
  const padding = Buffer.alloc(Math.ceil(unpackedBytes / members));
  const rest = gzipSync(padding);
  const parts = Array.from({ length: members }, (_, index) =>
    index === 0 ? gzipSync(Buffer.concat([message, padding])) : rest,
  );
  return { protocol, path, isCompressed: true, body: bodyOf(protocol, path, Buffer.concat(parts), true) };
}

/** So many such calls at once must all be refused. */
async function refuse(
  target: Target,
  listener: Listener,
  count: number,
  what: string,
  call: PlainCall,
): Promise<Finding> {
  let refused = 0;
  let ended = 0;
  const figures = await target.endure(async () => {
    const startedAt = performance.now();
    const statuses = await callAtOnce(target, listener, count, call);
    refused = statuses.filter((status) => status === RESOURCE_EXHAUSTED).length;
    ended = performance.now() - startedAt;
  }, HARM);
  const counted: Figure[] = [
    { name: "RESOURCE_EXHAUSTED", value: refused, atLeast: count },
    { name: "all answered ms", value: ended },
  ];
  return {
    listener,
    what: `${count} ${what}, ${call.protocol}, ${nameOf(call.path)}`,
    figures: [...counted, ...figures],
  };
}

async function callAtOnce(target: Target, listener: Listener, count: number, call: PlainCall): Promise<number[]> {
  if (listener === "HTTP") {
    return await Promise.all(Array.from({ length: count }, () => callHttp1(target.httpAddress, call)));
  }
  const session = connect(
    `${target.scheme}://${target.addressOf(listener)}`,
    // A hundred bombs are more than a client usually sends at once.
    { maxSessionMemory: 1000, ...(target.ca === undefined ? {} : { ca: target.ca }) },
  );
  session.on("error", () => {});
  const statuses = await Promise.all(Array.from({ length: count }, () => callHttp2(session, call)));
  session.destroy();
  return statuses;
}

/** Messages of a fair size in frames or chunks of one byte, all sent at once: they cost more than they are worth. */
async function drip(
  target: Target,
  listener: Listener,
  count: number,
  protocol: Protocol,
  path: string,
): Promise<Finding> {
  // No more than HTTP/2 lets anybody send without asking.
  const message = path === LOOKUP ? lookupMessageOf(3995) : batchMessageOf(59_995);
  const body = bodyOf(protocol, path, message);
  const call: PlainCall = { protocol, path, body };
  const bytes = listener === "HTTP" ? chunked(call) : framed(call);
  const ends: End[] = [];
  const figures = await target.endure(async () => {
    await Promise.all(
      Array.from({ length: count }, async () => {
        using connection = await target.open(listener);
        const { promise, resolve } = Promise.withResolvers<End>();
        let frames = 0;
        const reader = new FrameReader((_type, isEnd, stream) => {
          frames += stream === 1 ? 1 : 0;
          // An error of gRPC is headers alone.
          if (isEnd && stream === 1 && frames === 1 && protocol === "gRPC") {
            resolve("refused");
          }
        });
        connection.read((piece) => {
          reader.push(piece);
          if (connection.received.includes(CACHED_VIN)) {
            resolve("answered");
          } else if (/resource_exhausted|grpc-status: 8/.test(connection.received.toString("latin1"))) {
            resolve("refused");
          }
        });
        await connection.send(bytes);
        const closed = connection.closed(ANSWER_LIMIT_MS).then((): End => "neither");
        ends.push(await Promise.race([promise, closed]));
      }),
    );
  }, HARM);
  const what = `${count} times ${body.byteLength} bytes one by one, ${protocol}, ${nameOf(path)}`;
  const endsOf = (kind: End): number => ends.filter((end) => end === kind).length;
  // What lies together when it is first looked at is one piece.
  const counted: Figure[] = [
    { name: "refused", value: endsOf("refused"), ...(listener === "HTTP/2" ? {} : { atLeast: count }) },
    { name: "neither answered nor refused", value: endsOf("neither"), atMost: 0 },
  ];
  return { listener, what, figures: [...counted, ...figures] };
}

function framed(call: PlainCall): Buffer {
  const type = headersOf(call)["content-type"];
  const frames = Array.from(call.body, (byte, index) =>
    data(1, Buffer.from([byte]), index === call.body.byteLength - 1),
  );
  return Buffer.concat([OPENING, headers(1, callHeaders(call.path, "localhost", "8S", type)), ...frames]);
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
