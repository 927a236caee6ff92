import { once } from "node:events";
import type { Server, Socket } from "node:net";

import { destroyAll } from "./destroy-all.ts";

/** A listener that serves. Disposing it ends everything at once; drain it first. */
export interface RunningListener extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  /**
   * Takes no more connections, and lets what runs finish. Resolves when all is done, or after the grace period, when the
   * rest has been cut.
   */
  drain(graceMs: number): Promise<void>;
}

/** What a listener is made of. */
export interface ListenerParts {
  readonly address: string;
  readonly server: Server;
  /** Its open connections. */
  readonly sockets: ReadonlySet<Socket>;
  /** Called before it stops to take connections. */
  readonly onDrain: () => void;
  /** Called when it has stopped to, with the time that is left for what runs, in ms. */
  readonly onStopped?: (graceMs: number) => void;
  /** Called when all connections are gone, or as good as. */
  readonly onEnd?: () => void;
}

/** The life of a listener from when it serves to its end. */
export function runListener({ address, server, sockets, onDrain, onStopped, onEnd }: ListenerParts): RunningListener {
  const drain = async (graceMs: number): Promise<void> => {
    onDrain();
    const closed = once(server, "close");
    server.close();
    onStopped?.(graceMs);
    const cut = setTimeout(() => {
      destroyAll(sockets);
    }, graceMs);
    await closed;
    clearTimeout(cut);
  };
  return {
    address,
    drain,
    async [Symbol.asyncDispose]() {
      if (server.listening) {
        await drain(0);
      }
      destroyAll(sockets);
      onEnd?.();
    },
  };
}
