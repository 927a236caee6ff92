import type { IncomingMessage, ServerResponse } from "node:http";
import { REQUEST_ID_HEADER } from "../rpc/call.ts";
import type { AnswerHeaders, Peer } from "./exchange.ts";
import { Exchange } from "./exchange.ts";

/** Maximum number of bytes of an answered request that are read and discarded. */
const MAX_DISCARDED_BYTES = 1024 * 1024;

/** A request over HTTP/1.1. */
export class Http1Exchange extends Exchange {
  readonly isHttp2 = false;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly #closeListeners: (() => void)[] = [];
  #isClosed = false;

  constructor(request: IncomingMessage, response: ServerResponse, peer: Peer) {
    super(request.method, request.url, request.headers, peer);
    this.request = request;
    this.response = response;
    response.once("close", () => this.close());
  }

  get host(): string | undefined {
    const { rawHeaders } = this.request;
    // Node uses the first of several Host headers, but a proxy may use another one.
    const isHost = (text: string, index: number): boolean => index % 2 === 0 && text.toLowerCase() === "host";
    return rawHeaders.findIndex(isHost) === rawHeaders.findLastIndex(isHost) ? this.headers.host : undefined;
  }

  get hasArrived(): boolean {
    return this.request.complete;
  }

  get hasAnswered(): boolean {
    return this.response.headersSent;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get pendingBytes(): number {
    // A pipelined answer has no socket while it waits for earlier ones.
    return this.response.socket === null ? 0 : this.response.writableLength;
  }

  writeHead(status: number, headers: AnswerHeaders): void {
    if (!this.hasArrived && Number(this.headers["content-length"] ?? 0) > MAX_DISCARDED_BYTES) {
      this.endConnection();
    }
    this.status = status;
    this.response.writeHead(status, { [REQUEST_ID_HEADER]: this.requestId, ...this.extraHeaders, ...headers });
  }

  endConnection(): void {
    this.extraHeaders["connection"] = "close";
  }

  discardRest(): void {
    const { request } = this;
    if (request.complete) {
      request.resume();
      return;
    }
    let discardedBytes = 0;
    request.on("data", (piece: Buffer) => {
      discardedBytes += piece.byteLength;
      if (discardedBytes > MAX_DISCARDED_BYTES) {
        this.cut();
      }
    });
  }

  cut(): void {
    this.request.socket.destroy();
  }

  onClose(listener: () => void): void {
    this.#closeListeners.push(listener);
  }

  /** Call this when the connection has closed, because Node does not notify answers that wait for earlier ones. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      for (const listener of this.#closeListeners) {
        listener();
      }
    }
  }
}
