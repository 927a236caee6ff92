import type { Figure, Finding, Row } from "./finding.ts";
import { FLOODS, send } from "./floods.ts";
import { callHeaders, data, grpcMessage, headers, OPENING, resetStream } from "./http2-frames.ts";
import { RawConnection } from "./raw-connection.ts";
import { httpLookup, LOOKUP, LOOKUP_MESSAGE } from "./requests.ts";
import type { Harm } from "./target.ts";
import { Target } from "./target.ts";

/** Rows 3 to 5: more than anybody needs, as fast as it can be sent, on one connection. */
export const rowsOfFloods: readonly Row[] = [
  {
    number: 3,
    title: "rapid reset",
    async run(scale) {
      await using target = await Target.start();
      // Waiting for memory to come back takes longer than the attack.
      const harm = { probeMs: 500, ...(scale === "full" ? { memoryAfterMib: 30 } : { memoryMib: 50 }) };
      return [
        await flood(target, "gRPC", "5,000 streams opened and reset", harm, true, (c) =>
          send(c, 5000, (index) => [headers(2 * index + 1, callHeaders(LOOKUP)), resetStream(2 * index + 1)], OPENING),
        ),
        {
          listener: "HTTP",
          what: "1,000 connections broken after a request",
          figures: await target.endure(async () => {
            for (let count = 0; count < 1000; count++) {
              using connection = await RawConnection.open(target.httpAddress);
              await connection.send(httpLookup());
            }
          }, harm),
        },
      ];
    },
  },
  {
    number: 4,
    title: "floods of frames and headers",
    async run(scale) {
      const findings: Finding[] = [];
      await using target = await Target.start();
      for (const { listener, what, closes, attack } of FLOODS) {
        const harm = { probeMs: 100, memoryMib: 30 };
        findings.push(await flood(target, listener, what, harm, closes, (c) => attack(c, scale)));
      }
      return findings;
    },
  },
  {
    number: 5,
    title: "20,000 streams on one connection",
    async run(scale) {
      const count = scale === "full" ? 20_000 : 5000;
      await using target = await Target.start();
      const harm = { probeMs: 150, memoryMib: 30 };
      const message = data(1, grpcMessage(LOOKUP_MESSAGE), true);
      return [
        await flood(target, "gRPC", `${count} calls without a message`, harm, undefined, (c) =>
          send(c, count, (index) => [headers(2 * index + 1, callHeaders(LOOKUP))], OPENING),
        ),
        await flood(target, "gRPC", `${count} whole calls`, harm, undefined, (c) =>
          send(
            c,
            count,
            (index) => {
              const stream = 2 * index + 1;
              message.writeUInt32BE(stream, 5);
              return [headers(stream, callHeaders(LOOKUP)), Buffer.from(message)];
            },
            OPENING,
          ),
        ),
        await flood(target, "HTTP", `${count} requests in a row`, harm, undefined, (c) => {
          const request = Buffer.from(httpLookup().toString("latin1").replace("Connection: close\r\n", ""), "latin1");
          return send(c, count, () => [request]);
        }),
      ];
    },
  },
];

const CLOSE_LIMIT_MS = 5000;

/** @param closes whether the connection must be closed within a second; undefined when it may be */
async function flood(
  target: Target,
  listener: "gRPC" | "HTTP",
  what: string,
  harm: Harm,
  closes: boolean | undefined,
  attack: (connection: RawConnection) => Promise<void>,
): Promise<Finding> {
  const closed: Figure[] = [];
  const figures = await target.endure(async () => {
    using connection = await RawConnection.open(listener === "gRPC" ? target.grpcAddress : target.httpAddress);
    connection.read();
    const from = performance.now();
    await attack(connection);
    if (closes === true) {
      closed.push({ name: "closed ms", value: await connection.closed(CLOSE_LIMIT_MS, from), atMost: 1000 });
    }
  }, harm);
  return { listener, what, figures: [...closed, ...figures] };
}
