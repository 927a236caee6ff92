import { Code, ConnectError } from "@connectrpc/connect";
import { status } from "@grpc/grpc-js";
import { beforeEach, describe, expect, test } from "vitest";
import type { HandlerContext } from "@connectrpc/connect";
import { callOf } from "../../../src/rpc/call.ts";
import type { CallInterceptor } from "../../../src/rpc/interceptors.ts";
import { decodeEcho, ECHO_PATH, HELLO, startEcho } from "../../support/echo-service.ts";

const RESERVED = ["content-type", "connection", "te", "proxy-connection", "grpc-encoding", "grpc-status", "trailer"];

/** The interceptors around the handlers. Each test sets its own. */
let around: CallInterceptor[] = [];
const dispatch: CallInterceptor = (next) => (request) =>
  around.reduceRight<typeof next>((inner, interceptor) => interceptor(inner), next)(request);
const { script, client } = await startEcho({}, { interceptors: [dispatch] });

beforeEach(() => {
  around = [];
});

/** Makes the methods call this function with their context first. */
function withContext(look: (context: HandlerContext) => void): void {
  script.unary = ({ value }, context) => {
    look(context);
    return { value };
  };
  script.serverStream = async function* ({ value }, context) {
    look(context);
    yield { value };
  };
}

async function* twice<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const message of messages) {
    yield* [message, message];
  }
}

describe.each(["unary", "serverStream"] as const)("the context of a %s handler", (kind) => {
  const path = ECHO_PATH[kind];

  test("has the call, and its metadata with binary values as base64 and without pseudo-headers", async () => {
    const begun = script.hang();
    const metadata = { "x-many": ["one", "two"], "x-bytes-bin": "AP8H", "x-request-id": "r-1" };

    void client.call(path, HELLO, { ...metadata, ":authority": "[nonsense" });
    const context = await begun;

    expect(context).toMatchObject({ protocolName: "grpc", requestMethod: "POST", url: `http://localhost${path}` });
    expect(`/${context.service.typeName}/${context.method.name}`).toBe(path);
    expect(callOf(context.values)).toMatchObject({ id: "r-1", address: "127.0.0.1", protocol: "grpc" });
    const { timeoutMs } = context;
    expect(timeoutMs()).toBeGreaterThan(0);
    const header = Object.fromEntries(context.requestHeader);
    expect(header).toMatchObject({ "x-many": "one, two", "x-bytes-bin": "AP8H" });
    expect(Object.keys(header).filter((name) => name.startsWith(":"))).toEqual([]);
  });

  test.each([
    ["succeeds", undefined, status.OK],
    ["fails", new ConnectError("not here", Code.NotFound), status.NOT_FOUND],
  ])("sends headers and trailers of a call that %s, except those that would break the answer", async (...row) => {
    const [, error, code] = row;
    withContext(({ responseHeader, responseTrailer }) => {
      for (const name of RESERVED) {
        responseHeader.set(name, "5");
        responseTrailer.set(name, "5");
      }
      responseHeader.set("x-latin", "é");
      responseHeader.set("x-header-bin", "AQ");
      responseTrailer.set("x-trailer", "t");
      responseTrailer.append("x-trailer", "u");
      responseTrailer.set("x-trailer-bin", "Ag");
      if (error !== undefined) {
        throw error;
      }
    });

    const answer = await client.call(path, HELLO);

    expect(answer.headers).toMatchObject({ ":status": 200, "content-type": "application/grpc+proto" });
    expect(answer.headers["x-header-bin"]).toBe("AQ");
    expect(answer.messages.map(decodeEcho)).toEqual(error === undefined ? ["hello"] : []);
    expect(answer.trailers).toMatchObject({ "grpc-status": `${code}`, "x-trailer": "t, u", "x-trailer-bin": "Ag" });
  });

  test("comes with what interceptors have changed, and so does the answer", async () => {
    const change =
      (name: string): CallInterceptor =>
      (next) =>
      async (request) => {
        request.header.append("x-path", name);
        const response = await next(request);
        response.header.append("x-path", name);
        response.trailer.append("x-path", name);
        return response.stream ? { ...response, message: twice(response.message) } : response;
      };
    let inHandler: string | null = "";
    withContext(({ requestHeader }) => {
      inHandler = requestHeader.get("x-path");
    });
    around = [change("outer"), change("inner")];

    const answer = await client.call(path, HELLO);

    expect(inHandler).toBe("outer, inner");
    expect([answer.headers["x-path"], answer.trailers["x-path"]]).toEqual(["inner, outer", "inner, outer"]);
    expect(answer.messages).toHaveLength(kind === "unary" ? 1 : 4);
  });
});
