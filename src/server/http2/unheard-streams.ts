import type { ServerHttp2Session } from "node:http2";

/** How many streams of a connection may come to nothing. */
const MAX_UNHEARD = 50;

/** How often connections are looked at, in ms. */
const LOOK_MS = 100;

/**
 * Ends connections whose streams come to nothing. A stream with more headers than Node takes is reset without anybody
 * hearing of it, after all its headers have been unfolded: without a count of such streams, a client could go on with
 * them for ever, at some hundred times the cost that it has itself.
 */
export class UnheardStreams implements Disposable {
  readonly #heard = new Map<ServerHttp2Session, number>();
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Watches a new connection until it closes. */
  watch(session: ServerHttp2Session): void {
    this.#heard.set(session, 0);
    session.on("stream", () => {
      this.#heard.set(session, (this.#heard.get(session) ?? 0) + 1);
    });
    session.once("close", () => this.#heard.delete(session));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    for (const [session, heard] of this.#heard) {
      // Clients number their streams 1, 3, 5 and so on.
      const begun = ((session.state.lastProcStreamID ?? 0) + 1) / 2;
      if (begun - heard > MAX_UNHEARD) {
        session.destroy();
      }
    }
  }
}
