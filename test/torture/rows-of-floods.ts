import type { Figure, Finding, Listener, Row } from "./finding.ts";
import { FLOODS, send } from "./floods.ts";
import { callHeaders, data, grpcMessage, headers, OPENING, resetStream } from "./http2-frames.ts";
import { RawConnection } from "./raw-connection.ts";
import { httpLookup, LOOKUP, LOOKUP_MESSAGE } from "./requests.ts";
import type { Harm } from "./target.ts";
import { Target } from "./target.ts";

/** The headers of a call, as each listener that speaks HTTP/2 takes them. */
const CALL = {
  gRPC: callHeaders(LOOKUP),
  "HTTP/2": callHeaders(LOOKUP, "localhost", "2S", "application/grpc-web+proto"),
};

/** Rows 3 to 5: more than anybody needs, as fast as it can be sent, on one connection. */
export const rowsOfFloods: readonly Row[] = [
  {
    number: 3,
    title: "rapid reset",
    async run(scale) {
      await using target = await Target.start();
      await using secured = await Target.startSecured();
      // Waiting for memory to come back takes longer than the attack.
      const harm = { probeMs: 500, ...(scale === "full" ? { memoryAfterMib: 30 } : { memoryMib: 50 }) };
      const reset = (connection: RawConnection, call: Buffer) =>
        send(connection, 5000, (index) => [headers(2 * index + 1, call), resetStream(2 * index + 1)], OPENING);
      return [
        await flood(target, "gRPC", "5,000 streams opened and reset", harm, true, (c) => reset(c, CALL.gRPC)),
        await flood(secured, "HTTP/2", "5,000 streams opened and reset", harm, true, (c) => reset(c, CALL["HTTP/2"])),
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
      await using secured = await Target.startSecured();
      const harm = { probeMs: 100, memoryMib: 30 };
      for (const listener of ["gRPC", "HTTP", "HTTP/2"] as const) {
        const attacked = listener === "HTTP/2" ? secured : target;
        for (const { what, closes, attack } of FLOODS[listener]) {
          findings.push(await flood(attacked, listener, what, harm, closes, (c) => attack(c, scale)));
        }
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
      const openOnly = (connection: RawConnection, call: Buffer) =>
        send(connection, count, (index) => [headers(2 * index + 1, call)], OPENING);
      const whole = (connection: RawConnection, call: Buffer) =>
        send(
          connection,
          count,
          (index) => {
            const stream = 2 * index + 1;
            message.writeUInt32BE(stream, 5);
            return [headers(stream, call), Buffer.from(message)];
          },
          OPENING,
        );
      await using secured = await Target.startSecured();
      const [bare, all] = [`${count} calls without a message`, `${count} whole calls`];
      return [
        await flood(target, "gRPC", bare, harm, undefined, (c) => openOnly(c, CALL.gRPC)),
        await flood(target, "gRPC", all, harm, undefined, (c) => whole(c, CALL.gRPC)),
        await flood(secured, "HTTP/2", bare, harm, undefined, (c) => openOnly(c, CALL["HTTP/2"])),
        await flood(secured, "HTTP/2", all, harm, undefined, (c) => whole(c, CALL["HTTP/2"])),
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
  listener: Listener,
  what: string,
  harm: Harm,
  closes: boolean | undefined,
  attack: (connection: RawConnection) => Promise<void>,
): Promise<Finding> {
  const closed: Figure[] = [];
  const figures = await target.endure(async () => {
    using connection = await target.open(listener);
    connection.read();
    const from = performance.now();
    await attack(connection);
    if (closes === true) {
      closed.push({ name: "closed ms", value: await connection.closed(CLOSE_LIMIT_MS, from), atMost: 1000 });
    }
  }, harm);
  return { listener, what, figures: [...closed, ...figures] };
}
