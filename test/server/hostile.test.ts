import { once } from "node:events";
import { constants } from "node:http2";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { EchoHttp2, frame } from "../support/echo-http2.ts";
import { ECHO_PATH, encodeEcho, startEcho } from "../support/echo-service.ts";
import { eventually } from "../support/eventually.ts";

const HELLO = frame(encodeEcho("hello"));

const { server } = await startEcho();

test("calls that are sent, left and aborted in any order leave nothing behind", async () => {
  const fate = fc.constantFrom("answered", "half sent", "reset", "left", "reset after it was sent");

  await fc.assert(
    fc.asyncProperty(fc.array(fate, { maxLength: 20 }), async (fates) => {
      const before = server.ended.length;
      const other = new EchoHttp2(server.address);
      const streams = fates.map((each) => {
        const stream = other.open(ECHO_PATH.unary);
        stream.resume();
        if (each === "answered" || each === "reset after it was sent") {
          stream.end(HELLO);
        } else if (each === "half sent" || each === "reset") {
          stream.write(HELLO.subarray(0, 7));
        }
        return stream;
      });
      const answered = streams.filter((_stream, index) => fates[index] === "answered");
      for (const [index, stream] of streams.entries()) {
        if (fates[index]?.startsWith("reset") === true) {
          stream.close(constants.NGHTTP2_CANCEL);
        }
      }
      await Promise.all(answered.map(async (stream) => stream.closed || (await once(stream, "close"))));
      other[Symbol.dispose]();

      await eventually(() => expect(server.server.calls.inFlight).toBe(0));
      const ended = server.ended.slice(before);
      expect(ended.length).toBeLessThanOrEqual(fates.length);
      expect(ended.filter(({ code }) => code === undefined).length).toBeGreaterThanOrEqual(answered.length);
      expect(new Set(ended).size).toBe(ended.length);
    }),
    { numRuns: 50, seed: 1 },
  );
});
