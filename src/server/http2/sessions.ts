import type { ServerHttp2Session } from "node:http2";

/** Node would close a connection only after 1,000 frames that are none. */
export const sessionLimits = { maxSessionInvalidFrames: 100 };

/** How long HTTP/2 connections live, in ms. */
export interface SessionLifetime {
  /** Until the client has spoken as one of HTTP/2 does: preface and settings. Default: 5 s. */
  readonly prefaceMs: number;
  /** Without a stream. Default: 120 s. */
  readonly idleMs: number;
  /** In all; then GOAWAY, or the end after the next answer over HTTP/1.1. Default: 30 min. */
  readonly ageMs: number;
  /** How long running streams may go on after that. Default: 10 min, as the longest call. */
  readonly graceMs: number;
  /** How long a connection without a stream may take to end after GOAWAY. Default: 1 s. */
  readonly goodbyeMs: number;
  /** How often the client is asked whether it is still there. Default: 60 s. */
  readonly pingMs: number;
  /** How long it may take to say so. Default: 20 s. */
  readonly pongMs: number;
}

/** What holds unless told otherwise. */
export const usualLifetime: SessionLifetime = {
  prefaceMs: 5000,
  idleMs: 120_000,
  ageMs: 30 * 60_000,
  graceMs: 10 * 60_000,
  goodbyeMs: 1000,
  pingMs: 60_000,
  pongMs: 20_000,
};

/** How often it is looked whether a connection has been idle for too long, in that time. */
const IDLE_LOOKS = 20;

/** Bounds the life of one HTTP/2 connection of a server. */
export function limitSession(session: ServerHttp2Session, lifetime: Partial<SessionLifetime> = {}): void {
  const { prefaceMs, idleMs, ageMs, graceMs, goodbyeMs, pingMs, pongMs } = { ...usualLifetime, ...lifetime };
  const timers = new Set<NodeJS.Timeout>();
  const after = (ms: number, run: () => void): NodeJS.Timeout => {
    const timer = setTimeout(run, ms).unref();
    timers.add(timer);
    return timer;
  };
  let streams = 0;
  let idleSince = performance.now();

  const cut = (): void => session.destroy();
  /** Sends the client away; the connection ends with what runs on it, at the latest when the grace is over. */
  const retire = (): void => {
    session.close();
    after(graceMs, cut);
    after(goodbyeMs, () => {
      // A client that has sent a part of the headers of a stream would keep it open.
      if (streams === 0) {
        cut();
      }
    });
  };

  const silent = after(prefaceMs, cut);
  session.once("remoteSettings", () => clearTimeout(silent));
  after(ageMs, retire);
  // Looked at when it may be over, and not begun anew with each stream: most connections are seldom idle.
  const idle = setInterval(() => {
    if (streams === 0 && performance.now() - idleSince >= idleMs) {
      clearInterval(idle);
      retire();
    }
  }, idleMs / IDLE_LOOKS).unref();
  session.on("stream", (stream) => {
    streams++;
    stream.once("close", () => {
      streams--;
      idleSince = performance.now();
    });
  });
  const pings = setInterval(() => {
    if (!session.destroyed) {
      const late = after(pongMs, cut);
      session.ping(() => {
        clearTimeout(late);
        timers.delete(late);
      });
    }
  }, pingMs).unref();
  session.once("close", () => {
    clearInterval(idle);
    clearInterval(pings);
    for (const timer of timers) {
      clearTimeout(timer);
    }
  });
}
