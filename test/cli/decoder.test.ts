import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { constants, createServer as createHttp2Server } from "node:http2";
import type { Server, Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import { openDecoder } from "../../src/cli/decoder.ts";
import { portOf } from "../support/port-of.ts";
import { serveVehicles } from "./serve-vehicles.ts";

const VINS = ["1XPWD40X1ED215307", "1XKWDB0X57J211825", "1G1ZT58N58F127985"];
const NEVER = new AbortController().signal;
const PLAIN = { token: undefined, tokenFile: undefined, tls: { ca: undefined, cert: undefined, key: undefined } };

/** Decodes the VINs with a service that answers one of each batch, and refuses the others with the given error. */
async function decode(vins: readonly string[], refusals: ConnectError[]) {
  const batches: string[][] = [];
  await using service = await serveVehicles(async function* ({ queries }) {
    batches.push(queries.map(({ vin }) => vin));
    for (const [index, { vin }] of queries.entries()) {
      const refusal = index === 0 ? undefined : refusals.shift();
      if (refusal !== undefined) {
        throw refusal;
      }
      yield { index, vin, result: { case: "vehicle" as const, value: { make: `make of ${vin}` } } };
    }
  });
  await using decoder = await openDecoder({ address: service.address, ...PLAIN });
  const answers = await decoder.decode(
    vins.map((vin) => ({ vin })),
    "basic",
    NEVER,
  );
  return { batches, answers: answers.map((answer) => ("vehicle" in answer ? answer.vehicle.make : answer.fault)) };
}

function refusal(code: Code, retryAfterNanos?: number): ConnectError {
  const error = new ConnectError("not now", code);
  if (retryAfterNanos !== undefined) {
    error.details.push({ desc: RetryInfoSchema, value: { retryDelay: { nanos: retryAfterNanos } } });
  }
  return error;
}

test("the decoder waits for the rate limit any number of times, and asks for no VIN twice", async () => {
  const { batches, answers } = await decode(
    VINS,
    Array.from({ length: 2 }, () => refusal(Code.ResourceExhausted, 1_000)),
  );

  expect(answers).toEqual(VINS.map((vin) => `make of ${vin}`));
  expect(batches).toEqual([VINS, VINS.slice(1), VINS.slice(2)]);
});

test("a service that is unavailable for a moment is tried again", async () => {
  const { answers } = await decode(VINS, [refusal(Code.Unavailable, 1_000)]);

  expect(answers).toEqual(VINS.map((vin) => `make of ${vin}`));
});

test("a service that stays unavailable ends the command", async () => {
  const refusals = Array.from({ length: 20 }, () => refusal(Code.Unavailable, 1_000));
  const vins = Array.from({ length: 20 }, () => VINS).flat();

  await expect(decode(vins, refusals)).rejects.toThrow("not now");
  expect(refusals).toHaveLength(12);
});

test("a permanent error ends the command at once", async () => {
  await expect(decode(VINS, [refusal(Code.PermissionDenied)])).rejects.toThrow("not now");
});

test("malformed VINs are not sent", async () => {
  const { batches, answers } = await decode(["nonsense", ...VINS], []);

  expect(batches).toEqual([VINS]);
  expect(answers[0]).toMatch(/^vin: a VIN has 17 characters/);
});

/** A server on a free port of loopback. Its connections end with it. */
async function listen(server: Server): Promise<{ readonly host: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    host: `127.0.0.1:${portOf(server)}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.close();
      await once(server, "close");
    },
  };
}

/** Servers that break off every second call of Remove, as a service does that stops. */
const BREAKING: readonly { protocol: string; scheme: string; createServer: () => Server }[] = [
  {
    protocol: "gRPC",
    scheme: "",
    createServer: () => {
      let calls = 0;
      return createHttp2Server((request: Http2ServerRequest, response) => {
        if (++calls % 2 === 0) {
          request.stream.close(constants.NGHTTP2_REFUSED_STREAM);
        } else {
          answerRemove(request, response);
        }
      });
    },
  },
  {
    protocol: "Connect",
    scheme: "http://",
    createServer: () => {
      let calls = 0;
      return createHttpServer((request, response) => {
        if (++calls % 2 === 0) {
          request.socket.destroy();
        } else {
          answerRemove(request, response);
        }
      });
    },
  },
];
const answerRemove = connectNodeAdapter({
  routes: (router) => router.rpc(VehicleService.method.remove, ({ vin }) => ({ vin, removed: true })),
});

test.each(BREAKING)("a call that is broken off is repeated, over $protocol", async ({ scheme, createServer }) => {
  await using server = await listen(createServer());
  await using decoder = await openDecoder({ address: scheme + server.host, ...PLAIN });

  const removed = [await decoder.remove(VINS[0] ?? "", NEVER), await decoder.remove(VINS[1] ?? "", NEVER)];

  expect(removed).toEqual([true, true]);
});

test("an address at which no service has answered yet is tried once", async () => {
  let requests = 0;
  const answer503 = createHttpServer((_, response) => {
    requests++;
    response.writeHead(503).end();
  });
  await using server = await listen(answer503);
  await using decoder = await openDecoder({ address: `http://${server.host}`, ...PLAIN });

  await expect(decoder.remove(VINS[0] ?? "", NEVER)).rejects.toThrow("HTTP 503");
  expect(requests).toBe(1);
});
