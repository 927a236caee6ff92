import { afterAll, describe, expect, test } from "vitest";
import type { AllowedOrigins } from "../../src/server/cors.ts";
import { parseOrigins } from "../../src/server/cors.ts";
import { answerText } from "../../src/server/exchange.ts";
import { Http2Client } from "../support/http2-client.ts";
import { plainRequest } from "../support/plain-request.ts";
import type { Served } from "../support/serve.ts";
import { answerAll, LOOKUP, REMOVE, serve } from "../support/serve.ts";

const FRIEND = "https://app.example.com";
const STRANGER = "https://evil.example.com";
const JSON_TYPE = { "content-type": "application/json" };
const BODY = '{"vin":"V"}';
const QUERY = `?connect=v1&encoding=json&message=${encodeURIComponent(BODY)}`;

const running = new AsyncDisposableStack();

async function start(origins: AllowedOrigins): Promise<Served> {
  return running.use(
    await serve({
      origins,
      plain: answerAll((exchange) => answerText(exchange, 200, "reached")),
      handlers: { lookup: ({ vin }) => ({ vin }), remove: ({ vin }) => ({ vin }) },
    }),
  );
}

const named = await start([FRIEND]);
const none = await start([]);
const all = await start("*");
afterAll(() => running.disposeAsync());

function corsHeadersOf({ headers }: { readonly headers: object }): string[] {
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
      expect(() => parseOrigins(value)).toThrow("expected origins");
    },
  );
});

describe("a page of an allowed origin", () => {
  const preflight = {
    origin: FRIEND,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,connect-protocol-version,content-type",
  };

  test("gets all CORS headers that Connect and gRPC-Web need from the preflight", async () => {
    const answer = await plainRequest(named.address, "OPTIONS", LOOKUP, preflight);

    expect(answer).toMatchObject({ status: 204, body: "" });
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": FRIEND,
      "access-control-allow-methods": "POST, GET",
      "access-control-max-age": "7200",
      vary: "origin",
    });
    const ofConnect = ["connect-protocol-version", "connect-timeout-ms", "content-type"];
    const ofGrpcWeb = ["grpc-timeout", "x-grpc-web", "x-user-agent"];
    expect(answer.headers["access-control-allow-headers"]?.toLowerCase().split(", ")).toEqual(
      expect.arrayContaining(["authorization", "x-request-id", ...ofConnect, ...ofGrpcWeb]),
    );
  });

  test("may read the answer, the gRPC status, the request id and when to retry", async () => {
    const headers = { ...JSON_TYPE, origin: FRIEND, "sec-fetch-site": "cross-site" };

    const answer = await plainRequest(named.address, "POST", LOOKUP, headers, BODY);

    const ofGrpc = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
    expect(answer).toMatchObject({ status: 200, body: BODY });
    expect(answer.headers["access-control-allow-origin"]).toBe(FRIEND);
    expect(answer.headers["access-control-expose-headers"]?.toLowerCase().split(", ")).toEqual(
      expect.arrayContaining([...ofGrpc, "x-request-id", "retry-after", "www-authenticate"]),
    );
  });

  test.each([
    ["the method", "PUT", 405],
    ["the content type", "POST", 415],
  ])("may read that %s is refused", async (_what, method, status) => {
    const answer = await plainRequest(named.address, method, LOOKUP, { origin: FRIEND, "content-type": "text/plain" });

    expect(answer.status).toBe(status);
    expect(answer.headers["access-control-allow-origin"]).toBe(FRIEND);
  });

  test("may be any page when all origins are allowed", async () => {
    const foreign = { origin: STRANGER, "sec-fetch-site": "cross-site" };

    const answer = await plainRequest(all.address, "OPTIONS", LOOKUP, { ...preflight, origin: STRANGER });
    const change = await plainRequest(all.address, "POST", REMOVE, { ...JSON_TYPE, ...foreign }, BODY);
    const link = await plainRequest(all.address, "GET", "/export.parquet", { "sec-fetch-site": "cross-site" });

    expect([answer, change, link].map(({ status }) => status)).toEqual([204, 200, 200]);
    expect(answer.headers["access-control-allow-origin"]).toBe("*");
    expect(answer.headers.vary).toBeUndefined();
  });
});

describe("a page of another origin", () => {
  test.each<[string, Served, Record<string, string>]>([
    ["where some origins are allowed", named, { origin: STRANGER }],
    ["where no origin is allowed", none, { origin: STRANGER }],
    ["whose name begins like an allowed one", named, { origin: `${FRIEND}.evil.example` }],
    ["that hides its origin", named, { origin: "null" }],
    ["of another site, without an origin", named, { "sec-fetch-site": "cross-site" }],
    ["of the same site, without an origin", named, { "sec-fetch-site": "same-site" }],
  ])("%s gets no CORS headers and reaches nothing", async (_which, { address, started }, headers) => {
    started.length = 0;
    const asking = { ...headers, "access-control-request-method": "POST" };

    const preflight = await plainRequest(address, "OPTIONS", LOOKUP, asking);
    const answers = [
      await plainRequest(address, "GET", LOOKUP + QUERY, headers),
      await plainRequest(address, "POST", REMOVE, { ...JSON_TYPE, ...headers }, BODY),
      await plainRequest(address, "GET", "/export.parquet", headers),
      await plainRequest(address, "HEAD", "/export.parquet", headers),
    ];

    expect([preflight, ...answers].flatMap(corsHeadersOf)).toEqual([]);
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
    expect(started).toEqual([]);
  });

  test("reaches nothing over HTTP/2 either", async () => {
    named.started.length = 0;
    using client = new Http2Client(named.address);
    const post = { ":method": "POST", ":path": REMOVE, ...JSON_TYPE };

    const foreign = await client.request({ ...post, origin: STRANGER }, BODY);
    const friend = await client.request({ ...post, origin: FRIEND }, BODY);
    const own = await client.request({ ...post, origin: `http://${named.address}` }, BODY);

    expect([foreign, friend, own].map(({ status }) => status)).toEqual([403, 200, 200]);
    expect(named.started).toHaveLength(2);
  });

  test.each(["/", "/healthz", "/readyz?verbose", "/metrics"])("may link to %s", async (path) => {
    const headers = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };

    const answer = await plainRequest(none.address, "GET", path, headers);

    expect(answer.status).toBe(200);
  });
});

test.each([
  ["the service's own page", { origin: "https://service.example", "sec-fetch-site": "same-origin" }],
  ["its own page in an old browser, behind TLS", { origin: "https://service.example", host: "service.example" }],
  ["a program", {}],
  ["a user at the address bar", { "sec-fetch-site": "none", "sec-fetch-mode": "navigate" }],
])("%s may post and read, and gets no CORS headers, and its answers vary by origin", async (_who, headers) => {
  const change = await plainRequest(named.address, "POST", REMOVE, { ...JSON_TYPE, ...headers }, BODY);
  const read = await plainRequest(named.address, "GET", "/export.parquet", { ...headers });

  expect([change.status, read.status]).toEqual([200, 200]);
  expect([change, read].flatMap(corsHeadersOf)).toEqual([]);
  expect([change.headers.vary, read.headers.vary]).toEqual(["origin", "origin"]);
});
