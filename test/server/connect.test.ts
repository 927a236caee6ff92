import { gzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { ErrorInfoSchema, RequestInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { clientOver } from "../support/clients.ts";
import { errorOf } from "../support/error-of.ts";
import { plainRequest } from "../support/plain-request.ts";
import type { Served, VehicleHandlers } from "../support/serve.ts";
import { BATCH, EXPORT, LOOKUP, serve } from "../support/serve.ts";

const handlers: VehicleHandlers = {
  lookup: ({ vin }, context) => {
    context.responseHeader.set("x-header", "h");
    context.responseTrailer.set("x-trailer", "t");
    if (vin === "fail") {
      throw new ConnectError("no", Code.NotFound);
    }
    return { vin, make: "M".repeat(vin.startsWith("long") ? 5_000 : 1) };
  },
  async *batchLookup({ vins: [vin = ""] }) {
    yield { vin };
    if (vin === "fail") {
      throw new ConnectError("half-way", Code.DataLoss);
    }
  },
  async *export() {
    yield { part: { case: "data", value: new Uint8Array(10_000) } };
  },
};

const stack = new AsyncDisposableStack();
const server = stack.use(await serve({ handlers }));
const full = stack.use(await serve({ handlers, maxCalls: 0 }));
afterAll(() => stack.disposeAsync());
beforeEach(() => {
  server.started.length = 0;
  server.ended.length = 0;
  server.logger.lines.length = 0;
});

/** Each form of the protocols. The client matrix in test/service tests what every client must be able to do. */
describe.each([
  ["Connect over HTTP/1.1", { protocol: "Connect", http: "1.1" }, {}],
  ["Connect with JSON over HTTP/1.1", { protocol: "Connect", http: "1.1" }, { isJson: true }],
  ["Connect with GET over HTTP/1.1", { protocol: "Connect", http: "1.1" }, { usesGet: true }],
  ["Connect with gzip over HTTP/1.1", { protocol: "Connect", http: "1.1" }, { compress: gzipSync }],
  ["gRPC-Web with gzip over HTTP/1.1", { protocol: "gRPC-Web", http: "1.1" }, { compress: gzipSync }],
  ["Connect over HTTP/2", { protocol: "Connect", http: "2" }, {}],
  ["gRPC-Web with JSON over HTTP/2", { protocol: "gRPC-Web", http: "2" }, { isJson: true }],
] as const)("%s", (_name, protocol, options) => {
  const client = clientOver(protocol, { address: server.address, ...options });

  test("calls a unary method, with header and trailer", async () => {
    const seen: (string | null)[] = [];

    const response = await client.lookup(
      { vin: "long" },
      {
        headers: { "x-request-id": "mine" },
        onHeader: (header) => seen.push(header.get("x-request-id")),
        onTrailer: (trailer) => seen.push(trailer.get("x-trailer")),
      },
    );

    expect(response).toMatchObject({ vin: "long", make: "M".repeat(5_000) });
    expect(seen).toEqual(["mine", "t"]);
  });

  test("gets an error half-way through a stream, with the request id once", async () => {
    const headers = { "x-request-id": "mine" };

    const error = await errorOf(Array.fromAsync(client.batchLookup({ vins: ["fail"] }, { headers })));

    expect(error).toMatchObject({ code: Code.DataLoss, rawMessage: "half-way" });
    expect(error.findDetails(RequestInfoSchema)).toMatchObject([{ requestId: "mine" }]);
  });
});

async function post(to: Served, path: string, type: string, body: Buffer, headers: object = {}): Promise<Response> {
  return fetch(`http://${to.address}${path}`, {
    method: "POST",
    headers: { "content-type": type, ...headers },
    body: Buffer.from(body),
  });
}

/** What an answer says about its error, in the same form for all protocols. */
async function toldBy(response: Response) {
  const type = response.headers.get("content-type") ?? "";
  const error = await errorIn(response, type);
  return {
    id: response.headers.get("x-request-id"),
    code: error.code,
    message: error.rawMessage,
    reasons: error.findDetails(ErrorInfoSchema).map(({ reason }) => reason),
    ids: error.findDetails(RequestInfoSchema).map(({ requestId }) => requestId),
    delays: error.findDetails(RetryInfoSchema).map(({ retryDelay }) => retryDelay?.seconds),
  };
}

async function errorIn(response: Response, type: string): Promise<ConnectError> {
  const bytes = await response.bytes();
  const none = new ConnectError("no error", Code.Unknown);
  if (type === "application/json") {
    return errorFromJsonBytes(bytes, undefined, none);
  }
  const last = bytes.subarray(5);
  if (type.startsWith("application/grpc-web")) {
    // Without a body, the error is in the headers.
    return findTrailerError(response.headers) ?? findTrailerError(trailerParse(last)) ?? none;
  }
  return endStreamFromJson(last).error ?? none;
}

function envelope(bytes: Uint8Array | string, flags = 0): Buffer {
  return Buffer.from(encodeEnvelope(flags, Buffer.from(bytes)));
}

const MALFORMED = Buffer.from([0x0a, 0x20, 0x41]);
const { InvalidArgument, ResourceExhausted, Unimplemented, DeadlineExceeded } = Code;

const [CONNECT, JSON_, WEB, STREAM, STREAM_JSON] = [
  "application/proto",
  "application/json",
  "application/grpc-web+proto",
  "application/connect+proto",
  "application/connect+json",
];

/** Without a body, the request is a GET. The tests of gRPC cover more malformed messages, because the same code reads them. */
type Fault = [what: string, path: string, type: string, body?: Buffer, headers?: object, message?: RegExp];
const queries = [
  "connect=v1&encoding=proto&base64=1&message=!!!!",
  `connect=v1&encoding=proto&base64=1&message=${MALFORMED.toString("base64url")}`,
  "connect=v1&encoding=json&message=%7B",
  "connect=v1&encoding=xml&message=x",
  "connect=v1&encoding=json&message=%ff",
  "connect=v1&encoding=json&compression=gzip&base64=1&message=AAAA",
  "encoding=json&message=%7B",
  "connect=v1&encoding=json&message=%7B%22vim%22%3A%22V%22%7D",
];
const malformed: Fault[] = [
  ["malformed protobuf", LOOKUP, CONNECT, MALFORMED],
  ["malformed protobuf", LOOKUP, WEB, envelope(MALFORMED)],
  ["malformed protobuf", BATCH, STREAM, envelope(MALFORMED)],
  ["malformed JSON", LOOKUP, JSON_, Buffer.from('{"vin":')],
  ["malformed JSON", BATCH, STREAM_JSON, envelope("{")],
  ["JSON that is not UTF-8", LOOKUP, JSON_, Buffer.of(0x7b, 0xff, 0x7d)],
  ["no body", LOOKUP, JSON_, Buffer.alloc(0)],
  ["an unknown field", LOOKUP, JSON_, Buffer.from('{"vim":"V"}'), {}, /vim/],
  ["an unknown field", LOOKUP, "application/grpc-web+json", envelope('{"vim":"V"}'), {}, /vim/],
  ["an unknown enum name", LOOKUP, JSON_, Buffer.from('{"view":"VIEW_ALL"}'), {}, /VIEW_ALL/],
  ["a value of another type", LOOKUP, JSON_, Buffer.from('{"vin":7}'), {}, /vin/],
  ["a compressed envelope without an encoding", BATCH, STREAM, envelope(gzipSync(""), 1)],
  ["bytes that are not gzip", LOOKUP, CONNECT, Buffer.from("x"), { "content-encoding": "gzip" }],
  ["a malformed timeout", LOOKUP, CONNECT, Buffer.alloc(0), { "connect-timeout-ms": "soon" }],
  ["a malformed timeout", BATCH, STREAM, envelope(""), { "connect-timeout-ms": "-1" }],
  ["a malformed timeout", LOOKUP, WEB, envelope(""), { "grpc-timeout": "soon" }],
  ...queries.map((query): Fault => ["a GET", `${LOOKUP}?${query}`, "a query"]),
  ["a timeout of 11 digits", LOOKUP, JSON_, Buffer.from("{}"), { "connect-timeout-ms": "1".repeat(11) }],
];
const unsupported: Fault[] = [
  ["an unknown encoding", LOOKUP, CONNECT, Buffer.alloc(0), { "content-encoding": "x" }],
  ["an unknown encoding", LOOKUP, WEB, envelope("", 1), { "grpc-encoding": "x" }],
  ["an unknown encoding", BATCH, STREAM, envelope("", 1), { "connect-content-encoding": "x" }],
];

describe.each([
  ["MALFORMED_REQUEST", InvalidArgument, malformed],
  ["UNSUPPORTED", Unimplemented, unsupported],
] as const)("a request gets an error with the reason %s and its id", (reason, code, faults) => {
  test.each<Fault>(faults)("%s to %s as %s", async (_what, path, type, body, headers = {}, message = /./) => {
    const named = { ...headers, "x-request-id": "mine" };

    const response = await (body === undefined
      ? fetch(`http://${server.address}${path}`, { headers: named })
      : post(server, path, type, body, named));

    expect(await toldBy(response)).toMatchObject({
      id: "mine",
      code,
      message: expect.stringMatching(message),
      reasons: [reason],
      ids: ["mine"],
    });
    expect(server.logger.lines).toEqual([]);
    expect(server.ended.map((call) => call.code)).toEqual([code]);
  });
});

test.each([
  ["application/json", '{"vin":"fail"}', "trailer-x-trailer"],
  ["application/grpc-web+json", envelope('{"vin":"fail"}'), "x-trailer"],
])("an error as %s has the headers and trailers that the handler set before it failed", async (type, body, trailer) => {
  const response = await post(server, LOOKUP, type, Buffer.from(body));

  expect([response.headers.get("x-header"), response.headers.get(trailer)]).toEqual(["h", "t"]);
  expect(await toldBy(response)).toMatchObject({ code: Code.NotFound });
});

describe("the deadline of a call", () => {
  test.each([
    ["application/json", {}, 10_000],
    ["application/json", { "connect-timeout-ms": "20000" }, 20_000],
    ["application/json", { "connect-timeout-ms": "9999999999" }, 30_000],
    ["application/grpc-web+proto", { "grpc-timeout": "20S" }, 20_000],
    ["application/grpc-web+proto", { "grpc-timeout": "99999999H" }, 30_000],
  ])("as %s is read from its headers, and cut to the method's maximum: %j", async (type, headers, expectedMs) => {
    await post(server, LOOKUP, type, type === "application/json" ? Buffer.from("{}") : envelope(""), headers);

    const [call] = server.started;
    expect(Math.round((call?.deadlineAt ?? 0) - (call?.startedAt ?? 0))).toBe(expectedMs);
  });

  test.each([
    [LOOKUP, "application/json", "{}", { "connect-timeout-ms": "0" }],
    [LOOKUP, "application/grpc-web+proto", envelope(""), { "grpc-timeout": "0m" }],
    [BATCH, "application/connect+json", envelope("{}"), { "connect-timeout-ms": "0" }],
  ])("may have passed before %s as %s begins, and then no handler runs", async (path, type, body, headers) => {
    const response = await post(server, path, type, Buffer.from(body), headers);

    expect(await toldBy(response)).toMatchObject({ code: DeadlineExceeded, reasons: ["DEADLINE_EXCEEDED"] });
    expect(server.ended).toMatchObject([{ code: DeadlineExceeded, hasReachedHandler: false }]);
  });
});

test.each([
  [LOOKUP, "application/json", Buffer.from("{}")],
  [LOOKUP, "application/proto", Buffer.alloc(0)],
  [LOOKUP, "application/grpc-web+proto", envelope("")],
  [LOOKUP, "Application/gRPC-Web+proto", envelope("")],
  [BATCH, "application/connect+json", envelope("{}")],
  [BATCH, "application/connect+proto", envelope("")],
  [BATCH, "Application/Connect+JSON; charset=utf-8", envelope("{}")],
  [EXPORT, "application/grpc-web+json", envelope("{}")],
])("OVERLOADED to %s as %s has the form of its protocol, and the id of its request", async (path, type, body) => {
  const first = await post(full, path, type, body, { "x-request-id": "one" });
  const second = await post(full, path, type, body, { "x-request-id": "two" });

  const refusal = { code: ResourceExhausted, reasons: ["OVERLOADED"], delays: [1n] };
  expect(await toldBy(first)).toMatchObject({ ...refusal, id: "one" });
  expect(await toldBy(second)).toMatchObject({ ...refusal, id: "two" });
  expect(first.headers.get("retry-after")).toBe("1");
  expect(first.status).toBe(type === "application/json" || type === "application/proto" ? 429 : 200);
});

const ACCEPT = { "accept-encoding": "br, gzip", "connect-accept-encoding": "br, gzip" };

test("an answer is compressed with gzip if it is long and its client accepts that", async () => {
  const long = await post(server, LOOKUP, "application/json", Buffer.from('{"vin":"long"}'), ACCEPT);
  const short = await post(server, LOOKUP, "application/json", Buffer.from('{"vin":"V"}'), ACCEPT);
  const type = { "content-type": "application/json" };
  const plain = await plainRequest(server.address, "POST", LOOKUP, type, '{"vin":"long"}');

  expect(long.headers.get("content-encoding")).toBe("gzip");
  expect(await long.json()).toMatchObject({ vin: "long" });
  expect(short.headers.get("content-encoding")).toBeNull();
  expect(plain.headers["content-encoding"]).toBeUndefined();
  expect(plain.body).toMatch(/^\{"vin":"long"/);
});

test("an answer of an export is not compressed", async () => {
  const answer = await post(server, EXPORT, "application/connect+proto", envelope(""), ACCEPT);
  const [flags] = await answer.bytes();

  expect(flags).toBe(0);
});
