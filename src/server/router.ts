import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Logger } from "../telemetry/logger.ts";
import type { CallWatch, Watched } from "./call-watch.ts";
import type { ConnectServer } from "./connect.ts";
import type { AllowedOrigins } from "./cors.ts";
import { Cors } from "./cors.ts";
import type { Exchange, Peer } from "./exchange.ts";
import { answerText } from "./exchange.ts";
import type { GrpcServer } from "./grpc.ts";
import { isGrpc } from "./grpc.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import type { RequestListener } from "./listener.ts";
import type { PlainHandler } from "./plain-call.ts";
import { PlainCall } from "./plain-call.ts";

/**
 * Plain HTTP routes by method and path, such as `GET /healthz`. GET routes answer HEAD too. A path that ends in `/*`
 * matches all paths below it and ignores case.
 */
export type PlainRoutes = Readonly<Record<`${PlainMethod} /${string}`, PlainHandler>>;

type PlainMethod = "GET" | "POST";
type HandlersByMethod = ReadonlyMap<string, PlainHandler>;

export interface RouterOptions {
  readonly grpc: GrpcServer;
  readonly connect: ConnectServer;
  readonly plain: PlainRoutes;
  readonly watch: CallWatch;
  readonly logger: Logger;
  /** The origins whose pages may call, in addition to the service's own. Default: none. */
  readonly origins?: AllowedOrigins | undefined;
  /**
   * Whether requests for this host name are allowed. Other requests get a 421, except for probes. Default: all host
   * names are allowed.
   */
  readonly isOwnHost?: ((host: string) => boolean) | undefined;
}

/** Paths that load balancers request under any host name. They reveal nothing and change nothing. */
const FOR_ALL_HOSTS = new Set(["/healthz", "/readyz"]);

/** Passes every request to its handler. */
export class Router implements RequestListener {
  readonly #options: RouterOptions;
  readonly #cors: Cors;
  readonly #plain: ReadonlyMap<string, HandlersByMethod>;
  /** Handlers by the beginning of the path, in lower case. */
  readonly #below: ReadonlyMap<string, HandlersByMethod>;
  /** The last valid host as sent, and its parsed name. Most requests have the same host, and parsing takes 3 us. */
  #lastHost: { readonly sent: string; readonly name: string } | undefined;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#cors = new Cors(options.origins ?? []);
    const routes = handlersByPath(options.plain);
    const isBelow = ([path]: readonly [string, unknown]): boolean => path.endsWith("/*");
    this.#plain = new Map(routes.entries().filter((route) => !isBelow(route)));
    this.#below = new Map(
      routes
        .entries()
        .filter(isBelow)
        .map(([path, handlers]) => [path.slice(0, -1).toLowerCase(), handlers]),
    );
  }

  onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer): void {
    if (isGrpc(headers)) {
      this.#options.grpc.serve(stream, headers, peer);
    } else {
      this.onRequest(new Http2Exchange(stream, headers, peer));
    }
  }

  onRequest(exchange: Exchange): void {
    this.#route(exchange);
    if (exchange.hasAnswered) {
      this.#watch(exchange, refused(exchange));
    }
  }

  #watch(exchange: Exchange, watched: Watched): void {
    const { watch } = this.#options;
    const watching = watch.add(watched);
    exchange.onClose(() => watch.remove(watching));
  }

  #route(exchange: Exchange): void {
    const { connect, logger } = this.#options;
    if (!this.#cors.admits(exchange) || !this.#isForOwnHost(exchange)) {
      return;
    }
    if (connect.has(exchange.path)) {
      connect.serve(exchange);
      return;
    }
    const handlers = this.#plain.get(exchange.path) ?? this.#handlersAbove(exchange.path);
    if (handlers === undefined) {
      answerText(exchange, 404, "Not found. RPCs are at /package.Service/Method.");
      return;
    }
    const handler = handlers.get(exchange.method === "HEAD" ? "GET" : exchange.method);
    if (handler === undefined) {
      const allowed = [...handlers.keys()].flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
      answerText(exchange, 405, `Use ${allowed.join(" or ")}.`, { allow: allowed.join(", ") });
    } else {
      const call = new PlainCall(exchange, handler, logger);
      this.#watch(exchange, call);
      exchange.peer.line.push(call);
    }
  }

  #handlersAbove(path: string): HandlersByMethod | undefined {
    const lower = path.toLowerCase();
    return this.#below.entries().find(([beginning]) => lower.startsWith(beginning))?.[1];
  }

  /**
   * Protects against DNS rebinding. An attacker can make the host name of a page resolve to this service. The browser
   * then treats the page and the service as one origin. Only the host name in the request shows the attack.
   */
  #isForOwnHost(exchange: Exchange): boolean {
    const name = this.#hostNameOf(exchange);
    if (name === undefined) {
      exchange.endConnection();
      answerText(exchange, 400, "The request has no valid Host header.");
      return false;
    }
    const { isOwnHost } = this.#options;
    if (isOwnHost === undefined || isOwnHost(name) || FOR_ALL_HOSTS.has(exchange.path)) {
      return true;
    }
    answerText(
      exchange,
      421,
      "Without tokens and TLS, this service answers under the names of loopback only, such as localhost and 127.0.0.1. " +
        "ALLOW_ANONYMOUS=true lets it answer under any name.",
    );
    return false;
  }

  /** The host name of a request; undefined when it is not valid. */
  #hostNameOf({ host }: Exchange): string | undefined {
    if (host === undefined) {
      return undefined;
    }
    if (host !== this.#lastHost?.sent) {
      const url = URL.parse(`http://${host}`);
      if (url === null) {
        return undefined;
      }
      this.#lastHost = { sent: host, name: url.hostname.replaceAll(/[[\]]/g, "") };
    }
    return this.#lastHost.name;
  }
}

function handlersByPath(routes: PlainRoutes): ReadonlyMap<string, HandlersByMethod> {
  const byPath = new Map<string, Map<string, PlainHandler>>();
  for (const [route, handler] of Object.entries(routes)) {
    const [method = "", path = ""] = route.split(" ");
    const handlers = byPath.get(path) ?? new Map<string, PlainHandler>();
    byPath.set(path, handlers.set(method, handler));
  }
  return byPath;
}

/** An answer that was sent at once. The watch only checks that the client reads it. */
function refused(exchange: Exchange): Watched {
  return {
    deadlineAt: Infinity,
    hasArrived: true,
    get writtenBytes() {
      return exchange.writtenBytes;
    },
    get pendingBytes() {
      return exchange.pendingBytes;
    },
    expire() {},
    endLate() {},
    cut: () => exchange.cut(),
  };
}
