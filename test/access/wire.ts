import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from "node:http";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import { buffer } from "node:stream/consumers";

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly method: "GET" | "HEAD" | "POST";
  /** With the query. */
  readonly path: string;
  /** Several values are sent as several headers. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
  /** The answer is endless: the request is cancelled as soon as the answer has begun. */
  readonly isEndless?: boolean;
}

/** An answer as it came over the wire. */
export interface WireAnswer {
  readonly status: number;
  /** Headers and trailers. Trailers win. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface WireOptions {
  /** The authority of the service's certificate, as PEM. */
  readonly ca: string;
  /** The source address of the connection. */
  readonly localAddress: string;
}

/** One connection to a listener. It knows nothing of RPCs. */
export interface Wire extends Disposable {
  send(request: WireRequest): Promise<WireAnswer>;
}

/** HTTP/2 at an address with its scheme, from the first byte or by ALPN. */
export function openHttp2(url: string, { ca, localAddress }: WireOptions): Wire {
  // Clients other than Node's may send a header twice that should occur once.
  const options = { ca, localAddress, strictSingleValueFields: false };
  const session = connect(url, options);
  return {
    async send({ method, path, headers, body, isEndless = false }) {
      const endStream = body.byteLength === 0;
      const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream });
      let received: IncomingHttpHeaders = {};
      let status = 0;
      stream.on("response", (response) => {
        status = response[":status"] ?? 0;
        received = { ...received, ...response };
      });
      stream.on("trailers", (trailers) => (received = { ...received, ...trailers }));
      if (isEndless) {
        stream.once("data", () => stream.close());
      }
      if (!endStream) {
        stream.end(body);
      }
      return { body: await buffer(stream), status, headers: received };
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}

/** HTTP/1.1 at an address with its scheme. */
export function openHttp1(url: string, { ca, localAddress }: WireOptions): Wire {
  const options = { keepAlive: true, maxSockets: 1, localAddress };
  const isSecure = url.startsWith("https:");
  const agent = isSecure ? new HttpsAgent({ ...options, ca }) : new HttpAgent(options);
  const send = isSecure ? requestHttps : requestHttp;
  return {
    async send({ method, path, headers, body, isEndless = false }) {
      return await new Promise((resolve, reject) => {
        const request = send(`${url}${path}`, { method, agent, headers }, (response) => {
          const received = isEndless ? beginningOf(response) : buffer(response);
          received.then(
            (body) =>
              resolve({
                status: response.statusCode ?? 0,
                headers: { ...response.headers, ...response.trailers },
                body,
              }),
            reject,
          );
        });
        request.once("error", reject);
        request.end(body);
      });
    },
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** The first chunk of the body; empty when the body is. */
async function beginningOf(response: IncomingMessage): Promise<Buffer> {
  for await (const chunk of response) {
    return chunk;
  }
  return Buffer.alloc(0);
}
