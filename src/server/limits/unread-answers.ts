import type { ServerResponse } from "node:http";
import type { Http2ServerResponse, ServerHttp2Stream } from "node:http2";

import { cutAnswer } from "./cut-answer.ts";

/** How often answers are looked at, in ms. */
const LOOK_MS = 20;

/** How long after its deadline an answer may be on its way before that counts, in ms; two looks follow. */
const GRACE_MS = 60;

/** How long an answer may take to go. */
interface AnswerLimits {
  /** The time to the call's deadline, in ms. Default: no deadline. */
  readonly timeoutMs?: number;
  /** How long a finished answer may lie without its client taking any of it, in ms. */
  readonly stallTimeoutMs: number;
  /** Whether nothing will be added to the answer, though its stream may not be ended yet. Default: that is not known. */
  readonly isFinished?: boolean;
}

type Answer = ServerHttp2Stream | ServerResponse;

interface Watched {
  readonly answer: Answer;
  readonly overdueAt: number;
  readonly stallTimeoutMs: number;
  readonly isFinished: boolean;
  leftBytes: number;
  /** When the client last took something of the finished answer. */
  progressAt: number | undefined;
  isOver: boolean;
}

/**
 * Cuts answers whose clients do not read them, until their streams close: what HTTP/2's flow control holds back would
 * stay for as long as the connection does, however small it is. All are looked at every 20 ms, which is cheaper than a
 * timer or a listener for each of them; nearly all are gone by the first look.
 */
export class UnreadAnswers {
  readonly #open = new Set<Watched>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * Watches an answer until it is closed, whether it has been given yet or not. It is cut within 100 ms of its deadline,
   * or when it is finished and its client takes nothing: over HTTP/2 its stream is reset, over HTTP/1.1 the connection
   * is closed.
   */
  watch(
    response: ServerHttp2Stream | Http2ServerResponse | ServerResponse,
    { timeoutMs = Infinity, stallTimeoutMs, isFinished = false }: AnswerLimits,
  ): void {
    const answer: Answer = "stream" in response ? response.stream : response;
    if (answer.destroyed) {
      return;
    }
    this.#open.add({
      answer,
      overdueAt: performance.now() + timeoutMs + GRACE_MS,
      stallTimeoutMs,
      isFinished,
      leftBytes: Infinity,
      progressAt: undefined,
      isOver: false,
    });
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref();
  }

  #look(): void {
    if (this.#open.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = performance.now();
    for (const watched of this.#open) {
      const { answer } = watched;
      if (answer.destroyed || answer.closed) {
        this.#open.delete(watched);
      } else if (watched.isOver) {
        cutAnswer(answer);
      } else {
        // Only the next look cuts it: this one may be late itself, and come before the answer that is due.
        watched.isOver = now >= watched.overdueAt || isStalled(answer, watched, now);
      }
    }
  }
}

function isStalled(answer: Answer, watched: Watched, now: number): boolean {
  // What is left of an answer that goes on may stay the same while much of it goes.
  if (!watched.isFinished && !answer.writableEnded) {
    return false;
  }
  const leftBytes = "session" in answer ? answer.bufferSize : answer.writableLength;
  if (watched.progressAt === undefined || leftBytes < watched.leftBytes) {
    watched.leftBytes = leftBytes;
    watched.progressAt = now;
  }
  return now - watched.progressAt >= watched.stallTimeoutMs;
}
