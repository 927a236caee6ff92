import type { ServerWritableStream } from "@grpc/grpc-js";

/** Bytes that may wait for the client before the handler is asked for no more. */
const MAX_WAITING_BYTES = 64 * 1024;

/** What a waiting message costs beside its bytes, roughly; keeps streams of tiny messages within bounds. */
const OVERHEAD_BYTES = 256;

/**
 * Writes the messages of one stream, and tells when the client is too slow for more, or reads no more at all. Disposing
 * it ends the watch over the client.
 */
export class MessageWriter implements Disposable {
  readonly #stream: Pick<ServerWritableStream<unknown, Buffer>, "write">;
  #waitingBytes = 0;
  #room: PromiseWithResolvers<void> | undefined;

  readonly #stallTimeoutMs: number;
  readonly #onStall: () => void;
  #stallTimer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  /** @param onStall called when messages have waited for the client for the time-out without any getting away */
  constructor(
    stream: Pick<ServerWritableStream<unknown, Buffer>, "write">,
    stallTimeoutMs: number,
    onStall: () => void,
  ) {
    this.#stream = stream;
    this.#stallTimeoutMs = stallTimeoutMs;
    this.#onStall = onStall;
  }

  /** Hands a message to the stream; a promise means to wait for it before the next one. */
  write(message: Buffer): Promise<void> | undefined {
    const cost = message.byteLength + OVERHEAD_BYTES;
    if (this.#waitingBytes === 0) {
      this.#restartClock();
    }
    this.#waitingBytes += cost;
    this.#stream.write(message, () => {
      // Also after an error: then nobody waits for the client any more.
      this.#waitingBytes -= cost;
      this.#restartClock();
      if (this.#waitingBytes < MAX_WAITING_BYTES) {
        this.#goOn()?.resolve();
      }
    });
    if (this.#waitingBytes < MAX_WAITING_BYTES) {
      return undefined;
    }
    this.#room = Promise.withResolvers();
    return this.#room.promise;
  }

  /** Ends the waiting for the client with an error. */
  abandon(reason: Error): void {
    this.#goOn()?.reject(reason);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#stallTimer);
  }

  /** One timer for all messages, which is left to run out when none waits: cheaper than to start and to end it anew. */
  #restartClock(): void {
    if (this.#isDisposed) {
      return;
    }
    this.#stallTimer =
      this.#stallTimer?.refresh() ??
      setTimeout(() => {
        if (this.#waitingBytes > 0) {
          this.#onStall();
        }
      }, this.#stallTimeoutMs).unref();
  }

  #goOn(): PromiseWithResolvers<void> | undefined {
    const room = this.#room;
    this.#room = undefined;
    return room;
  }
}
