import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { Agent, fetch } from "undici";
import type { Response } from "undici";
import { isUnary, methodOf } from "./call-over-transport.ts";
import type { CallOptions, ClientKind } from "./client.ts";
import { urlOf } from "./client.ts";

interface WireError {
  readonly code: string;
  readonly message?: string;
  /** The value in base64, without padding. */
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

/** The bytes before each message of a stream: flags and the length of the message. */
const HEAD_BYTES = 5;
const LENGTH_AT = 1;
const END = 2;

/** A client that uses only `fetch` and JSON, no library. It enforces no deadlines; the service must. */
export const plainFetch: ClientKind = {
  name: "plain fetch",
  sendsGzip: false,
  takesGzip: true,
  async open(target) {
    const { authority } = target;
    const dispatcher = new Agent(authority === undefined ? {} : { connect: { ca: authority.ca } });
    return {
      async call(name, request, { timeoutMs, signal }: CallOptions = {}) {
        const method = methodOf(name);
        const deadline: Record<string, string> =
          timeoutMs === undefined ? {} : { "connect-timeout-ms": String(timeoutMs) };
        const url = `${urlOf(target)}/${method.parent.typeName}/${name}`;
        const streams = !isUnary(method);
        try {
          const response = await fetch(url, {
            method: "POST",
            headers: { "content-type": streams ? "application/connect+json" : "application/json", ...deadline },
            body: streams ? envelop(request) : JSON.stringify(request),
            signal: signal ?? null,
            dispatcher,
          });
          return streams ? readStream(Buffer.from(await response.arrayBuffer())) : [await readOne(response)];
        } catch (error) {
          throw signal?.aborted === true ? new ConnectError("aborted", Code.Canceled) : error;
        }
      },
      [Symbol.asyncDispose]: () => dispatcher.destroy(),
    };
  },
};

async function readOne(response: Response): Promise<JsonValue> {
  const body = await response.text();
  if (!response.ok) {
    throw toError(JSON.parse(body));
  }
  return JSON.parse(body);
}

function envelop(request: JsonObject): Buffer {
  const message = Buffer.from(JSON.stringify(request));
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(message.byteLength, LENGTH_AT);
  return Buffer.concat([head, message]);
}

function readStream(body: Buffer): JsonValue[] {
  const messages: JsonValue[] = [];
  for (let at = 0; at < body.byteLength;) {
    const end = at + HEAD_BYTES + body.readUInt32BE(at + LENGTH_AT);
    const text = body.subarray(at + HEAD_BYTES, end).toString();
    if (body[at] === END) {
      const { error }: { error?: WireError } = JSON.parse(text);
      if (error !== undefined) {
        throw toError(error);
      }
      return messages;
    }
    messages.push(JSON.parse(text));
    at = end;
  }
  throw new Error("the stream has no end");
}

function toError({ code, message = "", details = [] }: WireError): ConnectError {
  const error = new ConnectError(message, codeFromString(code));
  error.details = details.map(({ type, value }) => ({ type, value: Buffer.from(value, "base64") }));
  return error;
}
