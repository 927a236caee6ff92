import type { Http2SecureServer, ServerHttp2Session } from "node:http2";

/** Node would close a connection only after 1,000 frames that are none. */
export const sessionLimits = { maxSessionInvalidFrames: 100 };

/** How long HTTP/2 connections live, in ms. */
export interface SessionLifetime {
  /** Until the client has spoken as one of HTTP/2 does: preface and settings. Default: 5 s. */
  readonly prefaceMs: number;
  /** Without a stream. Default: 120 s. */
  readonly idleMs: number;
  /** In all; then GOAWAY, or the end after the next answer over HTTP/1.1. A ping resets idleness, so this is the bound that holds. Default: 30 min. */
  readonly ageMs: number;
  /** How long running streams may go on after that. Default: 10 min, as the longest call. */
  readonly graceMs: number;
}

/** What holds unless told otherwise. */
export const usualLifetime: SessionLifetime = {
  prefaceMs: 5000,
  idleMs: 120_000,
  ageMs: 30 * 60_000,
  graceMs: 10 * 60_000,
};

/** Bounds the life of every HTTP/2 connection of a server. */
export function limitSessions(server: Http2SecureServer, lifetime: Partial<SessionLifetime> = {}): void {
  const { prefaceMs, idleMs, ageMs, graceMs } = { ...usualLifetime, ...lifetime };
  server.on("session", (session: ServerHttp2Session) => {
    let streams = 0;
    const silent = setTimeout(() => {
      session.destroy();
    }, prefaceMs).unref();
    session.once("remoteSettings", () => {
      clearTimeout(silent);
    });
    const closeIdle = (): void => {
      session.close();
    };
    let idle = setTimeout(closeIdle, idleMs).unref();
    let end: NodeJS.Timeout | undefined;
    const age = setTimeout(() => {
      session.close();
      end = setTimeout(() => {
        session.destroy();
      }, graceMs).unref();
    }, ageMs).unref();
    session.on("stream", (stream) => {
      streams++;
      clearTimeout(idle);
      stream.once("close", () => {
        streams--;
        if (streams === 0 && !session.closed) {
          idle = setTimeout(closeIdle, idleMs).unref();
        }
      });
    });
    session.once("close", () => {
      clearTimeout(silent);
      clearTimeout(idle);
      clearTimeout(age);
      clearTimeout(end);
    });
  });
}
