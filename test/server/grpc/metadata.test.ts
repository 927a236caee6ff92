import { Code, ConnectError } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import type { HandlerContext } from "@connectrpc/connect";
import { callOf } from "../../../src/rpc/call.ts";
import type { CallInterceptor } from "../../../src/rpc/interceptors.ts";
import { frame } from "../../support/echo-http2.ts";
import { decodeEcho, ECHO_PATH, encodeEcho, startEcho } from "../../support/echo-service.ts";

const HELLO = frame(encodeEcho("hello"));

/** The interceptors around the handlers. Each test sets its own. */
let around: CallInterceptor[] = [];
const dispatch: CallInterceptor = (next) => (request) =>
  around.reduceRight<typeof next>((inner, interceptor) => interceptor(inner), next)(request);
const { script, client } = await startEcho({}, { interceptors: [dispatch] });

beforeEach(() => {
  around = [];
});

/** Makes every method call this function with its context first. */
function withContext(look: (context: HandlerContext) => void): void {
  script.unary = ({ value }, context) => {
    look(context);
    return { value };
  };
  script.serverStream = async function* ({ value }, context) {
    look(context);
    yield { value };
  };
  script.clientStream = async (requests, context) => {
    look(context);
    const [first] = await Array.fromAsync(requests);
    return { value: first?.value ?? "" };
  };
  script.bidi = async function* (requests, context) {
    look(context);
    for await (const { value } of requests) {
      yield { value };
    }
  };
}

const KINDS = Object.entries(ECHO_PATH);

describe.each(KINDS)("the context of a %s handler", (_kind, path) => {
  test("has the client's metadata, with binary values as base64 and without pseudo-headers", async () => {
    let header = new Headers();
    withContext((context) => {
      header = context.requestHeader;
    });

    await client.call(path, HELLO, { "x-many": ["one", "two"], "x-bytes-bin": "AP8H", "user-agent": "test" });

    expect(Object.fromEntries(header)).toMatchObject({
      "x-many": "one, two",
      "x-bytes-bin": "AP8H",
      "user-agent": "test",
    });
    expect([...header.keys()].filter((name) => name.startsWith(":"))).toEqual([]);
  });

  test("sends headers and trailers of a call that succeeds, including binary ones", async () => {
    withContext(({ responseHeader, responseTrailer }) => {
      responseHeader.set("x-header", "h");
      responseHeader.set("x-header-bin", "AQ");
      responseTrailer.set("x-trailer", "t");
      responseTrailer.append("x-trailer", "u");
      responseTrailer.set("x-trailer-bin", "Ag");
    });

    const answer = await client.call(path, HELLO);

    expect(answer.headers).toMatchObject({ "x-header": "h", "x-header-bin": "AQ" });
    expect(answer.trailers).toMatchObject({ "grpc-status": "0", "x-trailer": "t, u", "x-trailer-bin": "Ag" });
    expect(answer.headers).not.toHaveProperty("x-trailer");
  });

  test("sends headers and trailers of a call that fails", async () => {
    withContext(({ responseHeader, responseTrailer }) => {
      responseHeader.set("x-header", "h");
      responseTrailer.set("x-trailer", "t");
      throw new ConnectError("not here", Code.NotFound);
    });

    const answer = await client.call(path, HELLO);

    expect(answer.headers).toMatchObject({ "x-header": "h" });
    expect(answer.trailers).toMatchObject({ "grpc-status": String(status.NOT_FOUND), "x-trailer": "t" });
  });

  test("leaves out headers and trailers that would break the answer", async () => {
    const names = ["content-type", "connection", "te", "proxy-connection", "grpc-encoding", "grpc-status", "trailer"];
    withContext(({ responseHeader, responseTrailer }) => {
      for (const name of names) {
        responseHeader.set(name, "5");
        responseTrailer.set(name, "5");
      }
      responseHeader.set("x-latin", "é");
    });

    const answer = await client.call(path, HELLO);

    expect(answer.headers).toMatchObject({ ":status": 200, "content-type": "application/grpc+proto" });
    expect(answer.messages.map(decodeEcho)).toEqual(["hello"]);
    expect(answer.trailers["grpc-status"]).toBe("0");
    expect(answer.trailers).not.toHaveProperty("content-type");
  });

  test("has the method, service, protocol, path and call", async () => {
    let context: HandlerContext | undefined;
    withContext((given) => {
      context = given;
    });

    await client.call(path, HELLO, { "x-request-id": "r-1", ":authority": "[nonsense" });

    expect(context).toMatchObject({ protocolName: "grpc", requestMethod: "POST", url: `http://localhost${path}` });
    expect(`/${context?.service.typeName}/${context?.method.name}`).toBe(path);
    expect(context === undefined ? undefined : callOf(context.values)).toMatchObject({
      id: "r-1",
      address: "127.0.0.1",
      protocol: "grpc",
    });
  });
});

describe.each(KINDS)("an interceptor around a %s method", (_kind, path) => {
  test("may change what the handler and the client see", async () => {
    const change =
      (name: string): CallInterceptor =>
      (next) =>
      async (request) => {
        request.header.append("x-path", name);
        const response = await next(request);
        response.header.append("x-path", name);
        response.trailer.append("x-path", name);
        return response;
      };
    let inHandler: string | null = "";
    withContext(({ requestHeader }) => {
      inHandler = requestHeader.get("x-path");
    });
    around = [change("outer"), change("inner")];

    const answer = await client.call(path, HELLO);

    expect(inHandler).toBe("outer, inner");
    expect([answer.headers["x-path"], answer.trailers["x-path"]]).toEqual(["inner, outer", "inner, outer"]);
  });
});

test("interceptors see every message of a stream and its end, even if the handler fails", async () => {
  const seen: string[] = [];
  const note: CallInterceptor = (next) => async (request) => {
    const response = await next(request);
    return response.stream ? { ...response, message: noting(response.message, seen) } : response;
  };
  around = [note];
  script.serverStream = async function* () {
    yield { value: "1" };
    throw new ConnectError("no", Code.DataLoss);
  };

  await client.call(ECHO_PATH.bidi, Buffer.concat([HELLO, HELLO]));
  await client.call(ECHO_PATH.serverStream, HELLO);

  expect(seen).toEqual(["message", "message", "end", "message", "DataLoss"]);
});

/** Records the messages that pass, and how the stream ends. */
async function* noting<T>(messages: AsyncIterable<T>, into: string[]): AsyncGenerator<T> {
  try {
    for await (const message of messages) {
      into.push("message");
      yield message;
    }
    into.push("end");
  } catch (error) {
    into.push(Code[ConnectError.from(error).code]);
    throw error;
  }
}
