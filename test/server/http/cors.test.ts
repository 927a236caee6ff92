import { once } from "node:events";
import { IncomingMessage, createServer, request } from "node:http";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { createServiceImplSpec } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VehicleService } from "#gen/vehicle/v1/vehicle_service_pb.ts";
import type { AllowedOrigins } from "../../../src/server/http/cors.ts";
import { parseOrigins, withCors } from "../../../src/server/http/cors.ts";
import { startHttpServer } from "../../../src/server/http/http-server.ts";
import { listen } from "../../../src/server/listen.ts";
import { MemoryLogger } from "../../support/memory-logger.ts";
import { StubVehicleService } from "../../support/stub-vehicle-service.ts";

const FRIEND = "https://app.example.com";
const STRANGER = "https://evil.example.com";
const LOOKUP = "/vehicle.v1.VehicleService/Lookup";
const REMOVE = "/vehicle.v1.VehicleService/Remove";
const BODY = '{"vin":"1XPWD40X1ED215307"}';

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends a request as a browser would, which `fetch` of Node does not allow. */
async function send(
  address: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body = "",
): Promise<Answer> {
  const sent = request(`http://${address}${path}`, { method, headers, agent: false }).end(body);
  const [response]: unknown[] = await once(sent, "response");
  if (!(response instanceof IncomingMessage)) {
    throw new TypeError("no response");
  }
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}

let running: AsyncDisposableStack;

beforeEach(() => {
  running = new AsyncDisposableStack();
});

afterEach(() => running.disposeAsync());

/** A listener that answers 200 to what is let through. */
async function startBehindCors(origins: AllowedOrigins): Promise<string> {
  const server = createServer(
    withCors(origins, (_request: IncomingMessage, response: ServerResponse) => {
      response.writeHead(200).end("reached");
    }),
  );
  running.defer(() => {
    server.close();
    server.closeAllConnections();
  });
  return await listen(server, "HTTP", "127.0.0.1", 0);
}

function corsHeadersOf({ headers }: Answer): string[] {
  return Object.keys(headers).filter((name) => name.startsWith("access-control-"));
}

describe("CORS_ORIGINS", () => {
  test.each([
    ["", []],
    ["*", "*"],
    [` ${FRIEND} ,http://localhost:5173`, [FRIEND, "http://localhost:5173"]],
  ])("may be %j", (value, expected) => {
    expect(parseOrigins(value)).toEqual(expected);
  });

  test.each(["app.example.com", `${FRIEND}/`, `${FRIEND}:443`, "null", "ftp://example.com", `*,${FRIEND}`])(
    "may not be %j",
    (value) => {
      expect(() => parseOrigins(value)).toThrow("allowed are origins");
    },
  );
});

describe("a page of an allowed origin", () => {
  const preflight = {
    origin: FRIEND,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,connect-protocol-version,content-type",
  };

  test("is told by the pre-flight all that Connect and gRPC-Web need", async () => {
    const address = await startBehindCors([FRIEND]);

    const answer = await send(address, "OPTIONS", LOOKUP, preflight);

    expect(answer).toMatchObject({ status: 204, body: "" });
    expect(answer.headers["access-control-allow-origin"]).toBe(FRIEND);
    expect(answer.headers["access-control-allow-methods"]).toBe("POST, GET");
    expect(answer.headers["access-control-allow-headers"]?.toLowerCase().split(", ")).toEqual(
      expect.arrayContaining([
        "authorization",
        "connect-protocol-version",
        "connect-timeout-ms",
        "content-type",
        "grpc-timeout",
        "x-grpc-web",
        "x-request-id",
        "x-user-agent",
      ]),
    );
    expect(answer.headers.vary).toBe("origin");
  });

  test("may read the answer, the gRPC status, the request id and when to retry", async () => {
    const address = await startBehindCors([FRIEND]);

    const answer = await send(address, "POST", LOOKUP, { origin: FRIEND, "sec-fetch-site": "cross-site" });

    expect(answer).toMatchObject({ status: 200, body: "reached" });
    expect(answer.headers["access-control-allow-origin"]).toBe(FRIEND);
    expect(answer.headers["access-control-expose-headers"]?.toLowerCase().split(", ")).toEqual(
      expect.arrayContaining(["grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id", "retry-after"]),
    );
  });

  test("may be any page when all are allowed", async () => {
    const address = await startBehindCors("*");

    const answer = await send(address, "OPTIONS", LOOKUP, { ...preflight, origin: STRANGER });

    expect(answer.status).toBe(204);
    expect(answer.headers["access-control-allow-origin"]).toBe("*");
  });
});

describe("a page of another origin", () => {
  test.each([
    ["with friends", [FRIEND], STRANGER],
    ["without", [], STRANGER],
    ["whose name begins like a friend's", [FRIEND], `${FRIEND}.evil.example`],
    ["that hides it", [FRIEND], "null"],
  ])("gets no CORS headers and cannot change anything (%s)", async (_case, origins, origin) => {
    const address = await startBehindCors(origins);

    const preflight = await send(address, "OPTIONS", LOOKUP, { origin, "access-control-request-method": "POST" });
    const read = await send(address, "GET", LOOKUP, { origin });
    const change = await send(address, "POST", REMOVE, { origin });

    expect([preflight, read, change].flatMap(corsHeadersOf)).toEqual([]);
    expect([read.status, change.status]).toEqual([403, 403]);
  });

  test.each([
    ["GET", "/export.parquet", "cross-site", "no-cors"],
    ["GET", "/export.parquet", "same-site", "no-cors"],
    ["GET", "/export.parquet", "cross-site", "navigate"],
    ["HEAD", "/export.parquet", "cross-site", "cors"],
    ["GET", `${LOOKUP}?connect=v1`, "cross-site", "no-cors"],
  ])("cannot have %s %s (%s, %s), unless all may", async (method, path, site, mode) => {
    const named = await startBehindCors([FRIEND]);
    const open = await startBehindCors("*");
    const headers = { "sec-fetch-site": site, "sec-fetch-mode": mode };

    const refused = await send(named, method, path, headers);
    const served = await send(open, method, path, headers);

    expect([refused.status, served.status]).toEqual([403, 200]);
  });

  test.each(["/", "/healthz", "/readyz?verbose", "/metrics"])("may link to %s", async (path) => {
    const address = await startBehindCors([]);

    const answer = await send(address, "GET", path, { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" });

    expect(answer.status).toBe(200);
  });

  test.each(["cross-site", "same-site"])("is known by what the browser says of it: %s", async (site) => {
    const address = await startBehindCors([]);

    const answer = await send(address, "POST", REMOVE, { "sec-fetch-site": site });

    expect(answer.status).toBe(403);
  });
});

test.each([
  ["the service's own page", { origin: "https://service.example", "sec-fetch-site": "same-origin" }],
  ["its own page in an old browser, behind TLS", { origin: "https://service.example", host: "service.example" }],
  ["a program", {}],
  ["somebody at the address bar", { "sec-fetch-site": "none", "sec-fetch-mode": "navigate" }],
])("%s may post and read, and needs no CORS headers", async (_case, headers) => {
  const address = await startBehindCors([FRIEND]);

  const change = await send(address, "POST", REMOVE, headers);
  const read = await send(address, "GET", "/export.parquet", headers);

  expect([change.status, read.status]).toEqual([200, 200]);
  expect([change, read].flatMap(corsHeadersOf)).toEqual([]);
});

describe("the HTTP listener itself", () => {
  async function start(): Promise<{ service: StubVehicleService; address: string }> {
    const service = new StubVehicleService();
    const { address } = running.use(
      await startHttpServer({
        host: "127.0.0.1",
        port: 0,
        services: [createServiceImplSpec<typeof VehicleService>(VehicleService, service.handlers)],
        interceptors: [],
        handlers: {},
        logger: new MemoryLogger(),
      }),
    );
    return { service, address };
  }

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""])(
    "refuses every RPC with the simple content type %j",
    async (contentType) => {
      const { service, address } = await start();
      const headers: Record<string, string> = contentType === "" ? {} : { "content-type": contentType };

      const answers = await Promise.all(
        VehicleService.methods.map(({ name }) =>
          send(address, "POST", `/${VehicleService.typeName}/${name}`, headers, BODY),
        ),
      );

      expect(answers.map(({ status }) => status)).toEqual(VehicleService.methods.map(() => 415));
      expect(service.calls).toEqual([]);
    },
  );

  test("answers Lookup but not Remove to GET", async () => {
    const { service, address } = await start();
    const query = `?connect=v1&encoding=json&message=${encodeURIComponent(BODY)}`;

    const lookup = await send(address, "GET", LOOKUP + query, {});
    const remove = await send(address, "GET", REMOVE + query, {});

    expect([lookup.status, remove.status]).toEqual([200, 405]);
    expect(service.calls.map(({ method }) => method)).toEqual(["Lookup"]);
  });
});
