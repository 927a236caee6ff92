import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";

import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Metadata, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";

import { TlsCertificates } from "../../../src/server/tls/certificates.ts";
import { createAuthority } from "../../support/certificates.ts";
import { EchoClient } from "../../support/echo-client.ts";
import { startEchoGrpc, startEchoHttp } from "../../support/echo-server.ts";
import { silentLogger } from "../../support/silent-logger.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";
import { callHeaders, headers, indexed, OPENING, remembered } from "../../torture/http2-frames.ts";

const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const call = callHeaders(LOOKUP);
const repeated = Buffer.concat(Array.from({ length: 100 }, () => indexed(62)));
const authority = createAuthority();
const running = new AsyncDisposableStack();
let tls: TlsCertificates;

beforeAll(async () => {
  const { path } = running.use(await temporaryDirectory());
  const files = { certFile: join(path, "cert.pem"), keyFile: join(path, "key.pem") };
  const identity = authority.issue("localhost");
  await writeFile(files.certFile, identity.cert);
  await writeFile(files.keyFile, identity.key);
  tls = running.use(await TlsCertificates.open({ ...files, logger: silentLogger }));
});

afterAll(() => running.disposeAsync());

/** The headers that a chain of proxies and tracers may add. */
function sixtyHeaders(): Headers {
  return new Headers(Array.from({ length: 60 }, (_, index) => [`x-trace-${index}`, "f".repeat(64)]));
}

describe("a call with 60 headers of its callers' own is answered", () => {
  test("over gRPC", async () => {
    const seen: (string | null)[] = [];
    await using server = await startEchoGrpc({
      lookup: (_request, { requestHeader }) => {
        seen.push(requestHeader.get("x-trace-59"));
        return {};
      },
    });
    using client = new EchoClient(server.address);
    const metadata = new Metadata();
    for (const [name, value] of sixtyHeaders()) {
      metadata.set(name, value);
    }

    const answer = await client.unary(VehicleService.method.lookup, {}, { metadata });

    expect(answer.status.code).toBe(status.OK);
    expect(seen).toEqual(["f".repeat(64)]);
  });

  const http: Readonly<Record<string, (address: string) => Transport>> = {
    "Connect on HTTP/1.1": (address) =>
      createConnectTransport({
        baseUrl: `https://${address}`,
        httpVersion: "1.1",
        nodeOptions: { ca: authority.cert },
      }),
    "Connect on HTTP/2": (address) =>
      createConnectTransport({ baseUrl: `https://${address}`, httpVersion: "2", nodeOptions: { ca: authority.cert } }),
    "gRPC-Web on HTTP/2": (address) =>
      createGrpcWebTransport({ baseUrl: `https://${address}`, httpVersion: "2", nodeOptions: { ca: authority.cert } }),
  };

  test.each(Object.entries(http))("over %s", async (_name, transportTo) => {
    await using server = await startEchoHttp({ lookup: () => ({ make: "M" }) }, { tls });

    const answer = createClient(VehicleService, transportTo(server.address)).lookup({}, { headers: sixtyHeaders() });

    await expect(answer).resolves.toMatchObject({ make: "M" });
  });
});

const bombs = {
  "headers of 300 KB in a packet": Buffer.concat([
    headers(1, Buffer.concat([call, remembered("x-bomb", "b".repeat(3000)), repeated])),
  ]),
  "one header of which Node keeps the first only": Buffer.concat([
    headers(1, Buffer.concat([call, remembered("authorization", "b".repeat(3000)), repeated])),
  ]),
  "trailers of 300 KB in a packet": Buffer.concat([
    headers(1, call),
    headers(1, Buffer.concat([remembered("x-bomb", "b".repeat(3000)), repeated]), true),
  ]),
};

/** Calls with more headers than Node takes: it resets them and tells nobody. */
const unheard = Buffer.concat(
  Array.from({ length: 150 }, (_, index) =>
    headers(2 * index + 1, Buffer.concat([call, remembered("x", "y"), repeated, repeated]), true),
  ),
);

describe.each(["gRPC", "HTTP"])(
  "the %s listener ends the connection of a client that has acknowledged no limit",
  (listener) => {
    test.each(Object.entries({ ...bombs, "many calls with too many headers": unheard }))(
      "and sends %s",
      async (_name, bomb) => {
        await using server =
          listener === "gRPC" ? await startEchoGrpc({}) : await startEchoHttp({ lookup: () => ({}) }, { tls });
        const [host = "", port = ""] = server.address.split(":");
        const options = { host, port: Number(port) };
        const socket: Socket =
          listener === "gRPC"
            ? connectTcp(options)
            : connectTls({ ...options, ca: authority.cert, ALPNProtocols: ["h2"] });
        await once(socket, listener === "gRPC" ? "connect" : "secureConnect");
        socket.resume();
        socket.on("error", () => {});

        socket.write(Buffer.concat([OPENING, bomb]));
        const closed = once(socket, "close", { signal: AbortSignal.timeout(2_000) });
        const next = connectHttp2(`${listener === "gRPC" ? "http" : "https"}://${server.address}`, {
          ca: authority.cert,
        });
        await once(next, "remoteSettings");
        next.destroy();

        await expect(closed).resolves.toBeDefined();
      },
    );
  },
);
